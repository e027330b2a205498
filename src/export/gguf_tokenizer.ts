/** llama.cpp's tokenizer metadata, from the files of Hugging Face's format. */
import {
  type DeclaredToken,
  declaredTokens,
  type TokenizerFiles,
  tokenizerFromFiles,
} from "../tokenizers/hf_tokenizer.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { withoutGenerationMarks } from "../data/instruct/chat_template.ts";
import { UserError } from "../options/user_error.ts";
import { isObject } from "../files/fields.ts";
import { type Merge, scoresFromMerges } from "../formats/gguf/merges.ts";
import { findPreTokenizer, PRE_TOKENIZERS } from "../formats/gguf/pre_tokenizers.ts";
import { TOKEN_TYPE } from "../formats/gguf/token_types.ts";
import { type KeyValues, value } from "../formats/gguf/values.ts";
import { quoted } from "../text.ts";

type Json = Record<string, unknown>;

/** The part of a tokenizer.json that is needed here. */
interface Source {
  readonly origin: string;
  readonly json: Json;
  readonly model: Json;
  /** By id; undefined for unused ids. */
  readonly tokens: readonly (string | undefined)[];
  readonly merges: readonly Merge[];
  /** Whether an added token is special, by id. */
  readonly added: ReadonlyMap<number, boolean>;
}

/**
 * Supports byte-level BPE and SentencePiece's BPE; throws a {@link UserError} that names any other
 * kind. llama.cpp needs one token per row: unused ids below `vocabSize` get placeholders, and tokens
 * beyond, which the model cannot read, are left out.
 */
export function tokenizerMetadata(
  origin: string,
  files: TokenizerFiles,
  vocabSize: number,
): KeyValues {
  const tokenizer = tokenizerFromFiles(origin, files);
  const source = readSource(origin, files, vocabSize, declaredTokens(tokenizer));
  const own = source.model.byte_fallback === true ? sentencePiece(source) : byteLevel(source);
  return { ...own, ...specialTokens(tokenizer, source.tokens) };
}

function readSource(
  origin: string,
  files: TokenizerFiles,
  vocabSize: number,
  declared: readonly DeclaredToken[],
): Source {
  const json = JSON.parse(new TextDecoder().decode(files.get("tokenizer.json"))) as Json;
  const model = json.model as Json;
  if (model.type !== "BPE") {
    throw new UserError(
      `${origin}: a model of type ${quoted(model.type)} cannot be written as GGUF`,
      "BPE can, byte-level or with byte fallback",
    );
  }
  const tokens = Array<string | undefined>(vocabSize).fill(undefined);
  for (const [token, id] of Object.entries(model.vocab as Record<string, number>)) {
    tokens[id] = token;
  }
  const added = new Map<number, boolean>();
  const addedTokens = Array.isArray(json.added_tokens) ? json.added_tokens.filter(isObject) : [];
  for (const { id, content, special } of [...addedTokens, ...declared]) {
    tokens[id as number] = String(content);
    added.set(id as number, special === true);
  }
  tokens.length = vocabSize;
  const merges = Array.isArray(model.merges) ? model.merges.map(toMerge) : [];
  return { origin, json, model, tokens, merges, added };
}

/** A pair, or in older files both parts separated by a space. */
function toMerge(merge: string | Merge): Merge {
  if (typeof merge !== "string") return merge;
  const at = merge.indexOf(" ", 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}

function byteLevel({ origin, json, tokens, merges, added }: Source): KeyValues {
  const scheme = findPreTokenizer(json.pre_tokenizer) ??
    // Without merges every byte is a token, so splitting does not matter.
    (merges.length === 0 ? PRE_TOKENIZERS[0] : undefined);
  if (!scheme) {
    throw new UserError(
      `${origin}: its pre_tokenizer cannot be written as GGUF: ` +
        JSON.stringify(json.pre_tokenizer),
      `those of ${PRE_TOKENIZERS.map(({ names }) => names[0]).join(", ")} can`,
    );
  }
  const types = tokens.map((token, id) => addedType(token, added.get(id)) ?? TOKEN_TYPE.normal);
  return {
    "tokenizer.ggml.model": value.string("gpt2"),
    "tokenizer.ggml.pre": value.string(scheme.names[0]),
    "tokenizer.ggml.tokens": value.strings(tokens.map(filled)),
    "tokenizer.ggml.token_type": value.int32s(types),
    "tokenizer.ggml.merges": value.strings(merges.map((merge) => merge.join(" "))),
  };
}

function sentencePiece({ json, model, tokens, merges, added }: Source): KeyValues {
  const types = tokens.map((token, id) => {
    if (token !== undefined && token === model.unk_token) return TOKEN_TYPE.unknown;
    const type = addedType(token, added.get(id));
    return type ?? (/^<0x[0-9A-F]{2}>$/.test(token!) ? TOKEN_TYPE.byte : TOKEN_TYPE.normal);
  });
  const texts = tokens.map((token, id) =>
    types[id] === TOKEN_TYPE.userDefined ? token!.replaceAll("▁", " ") : filled(token, id)
  );
  return {
    "tokenizer.ggml.model": value.string("llama"),
    "tokenizer.ggml.pre": value.string("default"),
    "tokenizer.ggml.tokens": value.strings(texts),
    "tokenizer.ggml.scores": value.float32s(scoresFromMerges(tokens.map(filled), merges)),
    "tokenizer.ggml.token_type": value.int32s(types),
    "tokenizer.ggml.add_space_prefix": value.flag(prependsSpace(json)),
  };
}

/** The type of a token that is not a normal one. */
function addedType(token: string | undefined, special: boolean | undefined): number | undefined {
  if (token === undefined) return TOKEN_TYPE.unused;
  if (special === undefined) return undefined;
  return special ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined;
}

/** The name that llama.cpp's converter gives to an unused id. */
function filled(token: string | undefined, id: number): string {
  return token ?? `[PAD${id}]`;
}

/** By a normalizer (LLaMA's) or by a pre-tokenizer (later ones). */
function prependsSpace({ normalizer, pre_tokenizer }: Json): boolean {
  const steps = (step: unknown): Json[] =>
    !isObject(step)
      ? []
      : [step.normalizers, step.pretokenizers].flat().filter(isObject).flatMap(steps).concat(step);
  return [...steps(normalizer), ...steps(pre_tokenizer)].some(({ type, prepend_scheme }) =>
    type === "Prepend" || (type === "Metaspace" && prepend_scheme !== "never")
  );
}

function specialTokens(
  tokenizer: Tokenizer,
  tokens: readonly (string | undefined)[],
): KeyValues {
  const { bosTokenId: bos, eosTokenId: eos, specialTokens: { unkToken, padToken } } = tokenizer;
  const ids: Record<string, number | null> = {
    bos,
    eos,
    unknown: unkToken === null ? null : tokens.indexOf(unkToken),
    padding: padToken === null ? null : tokens.indexOf(padToken),
  };
  // Observe the tokenizer's behaviour, because several places in its files can define it.
  const sample = tokenizer.encode("a");
  const { chatTemplate: template, toolTemplate } = tokenizer;
  return {
    ...Object.fromEntries(
      Object.entries(ids).filter(([, id]) => id !== null && id >= 0 && id < tokens.length)
        .map(([name, id]) => [`tokenizer.ggml.${name}_token_id`, value.uint32(id!)]),
    ),
    "tokenizer.ggml.add_bos_token": value.flag(bos !== null && sample[0] === bos),
    "tokenizer.ggml.add_eos_token": value.flag(eos !== null && sample.at(-1) === eos),
    ...(template === null ? {} : {
      // llama.cpp's parser does not know the marks of the assistant's text.
      "tokenizer.chat_template": value.string(withoutGenerationMarks(template)),
    }),
    ...(toolTemplate === undefined ? {} : {
      "tokenizer.chat_templates": value.strings(["tool_use"]),
      "tokenizer.chat_template.tool_use": value.string(withoutGenerationMarks(toolTemplate)),
    }),
  };
}

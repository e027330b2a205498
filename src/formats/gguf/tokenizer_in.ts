/** Converts a GGUF file's tokenizer to the files that Hugging Face's tokenizers read. */
import { UserError } from "../../options/user_error.ts";
import { type Merge, mergesFromScores } from "./merges.ts";
import type { Metadata } from "./metadata.ts";
import { DEFAULT_PRE_TOKENIZER, PRE_TOKENIZERS, type PreTokenizer } from "./pre_tokenizers.ts";
import { TOKEN_TYPE } from "./token_types.ts";

const KEY = "tokenizer.ggml";
/** SentencePiece's space. */
const SPACE = "▁";

/** The file's information about every token. */
interface Vocabulary {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
}

/**
 * tokenizer.json and tokenizer_config.json. Byte-level BPE ("gpt2") and SentencePiece's BPE
 * ("llama") are supported; others are refused by name with a {@link UserError}.
 */
export function readGgufTokenizer(metadata: Metadata): Map<string, Uint8Array<ArrayBuffer>> {
  const model = metadata.string(`${KEY}.model`);
  const vocabulary = readVocabulary(metadata);
  const special = specialTokens(metadata, vocabulary.tokens, model);
  let json: Record<string, unknown>, addBos: boolean;
  if (model === "gpt2") {
    const scheme = preTokenizerOf(metadata);
    [json, addBos] = [byteLevelJson(metadata, vocabulary, scheme), scheme.addBos];
  } else if (model === "llama") {
    [json, addBos] = [sentencePieceJson(metadata, vocabulary, special.unk_token), true];
  } else {
    throw new UserError(
      `${metadata.path}: tokenizer ${model} is not supported`,
      "gpt2 (byte-level BPE) and llama (SentencePiece BPE) are",
    );
  }
  const add = {
    bos: metadata.flag(`${KEY}.add_bos_token`, addBos) && special.bos_token !== null,
    eos: metadata.flag(`${KEY}.add_eos_token`, false) && special.eos_token !== null,
  };
  const bytes = (value: unknown) =>
    new TextEncoder().encode(JSON.stringify(value, null, 2) + "\n") as Uint8Array<ArrayBuffer>;
  return new Map([
    [
      "tokenizer.json",
      bytes({
        version: "1.0",
        truncation: null,
        padding: null,
        added_tokens: addedTokens(vocabulary),
        ...json,
        post_processor: postProcessor(
          add.bos ? special.bos_token : null,
          add.eos ? special.eos_token : null,
          vocabulary.tokens,
        ),
      }),
    ],
    [
      "tokenizer_config.json",
      bytes({
        // The generic class, because a model-specific class would rebuild its tokenizer.
        tokenizer_class: "PreTrainedTokenizerFast",
        ...special,
        add_bos_token: add.bos,
        add_eos_token: add.eos,
        clean_up_tokenization_spaces: false,
        ...chatTemplates(metadata),
      }),
    ],
  ]);
}

/** Under the key that Hugging Face's files have for them, several with their names. */
function chatTemplates(metadata: Metadata): { chat_template?: unknown } {
  const key = "tokenizer.chat_template", names = "tokenizer.chat_templates";
  const own = metadata.has(key) ? metadata.string(key) : undefined;
  const others = (metadata.has(names) ? metadata.strings(names) : [])
    .filter((name) => metadata.has(`${key}.${name}`))
    .map((name) => ({ name, template: metadata.string(`${key}.${name}`) }));
  if (others.length === 0) return own === undefined ? {} : { chat_template: own };
  const standard = own === undefined ? [] : [{ name: "default", template: own }];
  return { chat_template: [...standard, ...others] };
}

function readVocabulary(metadata: Metadata): Vocabulary {
  const tokens = metadata.strings(`${KEY}.tokens`), types = `${KEY}.token_type`;
  const given = metadata.has(types)
    ? metadata.numbers(types)
    : tokens.map((): number => TOKEN_TYPE.normal);
  if (given.length === tokens.length) return { tokens, types: given };
  throw new UserError(
    `${metadata.path}: ${types} lists ${given.length} tokens of ${tokens.length}`,
  );
}

/** Under tokenizer_config.json's names; llama.cpp's defaults for older files without them. */
function specialTokens(metadata: Metadata, tokens: readonly string[], model: string) {
  const token = (name: string, sentencePiece?: number) => {
    const key = `${KEY}.${name}_token_id`;
    const id = metadata.tokenId(key) ?? (model === "llama" ? sentencePiece : undefined);
    if (id === undefined) return null;
    if (id < tokens.length) return tokens[id];
    throw new UserError(`${metadata.path}: ${key} ${id} is not in the vocabulary`);
  };
  return {
    bos_token: token("bos", 1),
    eos_token: token("eos", 2),
    unk_token: token("unknown", 0),
    pad_token: token("padding"),
  };
}

/** What is assumed of a file that does not name how its text is split, as llama.cpp warns. */
export function ggufTokenizerWarnings(metadata: Metadata): string[] {
  const key = `${KEY}.pre`;
  if (metadata.string(`${KEY}.model`) !== "gpt2") return [];
  const name = metadata.has(key) ? metadata.string(key) : undefined;
  if (name !== undefined && name !== DEFAULT_PRE_TOKENIZER) return [];
  return [
    `${metadata.path}: ${name === undefined ? `${key} is missing` : `${key} is "${name}"`}: text ` +
    "is split by llama.cpp's default rule, which is probably not the one that the model was " +
    "trained with; convert the model again with a newer llama.cpp",
  ];
}

function preTokenizerOf(metadata: Metadata): PreTokenizer {
  const name = metadata.string(`${KEY}.pre`, DEFAULT_PRE_TOKENIZER);
  const found = PRE_TOKENIZERS.find(({ names }) => names.includes(name));
  if (found) return found;
  throw new UserError(
    `${metadata.path}: pre-tokenizer ${name} is not supported`,
    `${PRE_TOKENIZERS.flatMap(({ names }) => names).join(", ")} are`,
  );
}

const BPE = {
  type: "BPE",
  dropout: null,
  unk_token: null as string | null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
};

function byteLevelJson(metadata: Metadata, vocabulary: Vocabulary, scheme: PreTokenizer) {
  const decoder = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
  return {
    normalizer: scheme.normalizer,
    pre_tokenizer: scheme.preTokenizer,
    decoder: { ...decoder, use_regex: true },
    model: {
      ...BPE,
      ignore_merges: scheme.ignoreMerges,
      vocab: vocabOf(vocabulary),
      merges: metadata.strings(`${KEY}.merges`).map(toMerge),
    },
  };
}

function sentencePieceJson(metadata: Metadata, vocabulary: Vocabulary, unknown: string | null) {
  const prefixed = metadata.flag(`${KEY}.add_space_prefix`, true);
  const replace = { type: "Replace", pattern: { String: " " }, content: SPACE };
  return {
    // llama.cpp, like the first LLaMA's tokenizer.json, prepends a space to every piece of text,
    // even if it starts with one.
    normalizer: prefixed
      ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: SPACE }, replace] }
      : replace,
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: SPACE }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(prefixed ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      ...BPE,
      unk_token: unknown,
      fuse_unk: true,
      byte_fallback: true,
      vocab: vocabOf(vocabulary),
      merges: metadata.has(`${KEY}.merges`)
        ? metadata.strings(`${KEY}.merges`).map(toMerge)
        : sentencePieceMerges(metadata, vocabulary),
    },
  };
}

/** Only normal tokens are merged: user-defined ones are matched whole first, others never. */
function sentencePieceMerges(metadata: Metadata, { tokens, types }: Vocabulary): Merge[] {
  const scores = metadata.numbers(`${KEY}.scores`);
  if (scores.length !== tokens.length) {
    throw new UserError(
      `${metadata.path}: ${KEY}.scores lists ${scores.length} tokens of ${tokens.length}`,
    );
  }
  const pieces = new Map(
    tokens.map((token, id) => [token, id] as const)
      .filter(([, id]) => types[id] === TOKEN_TYPE.normal),
  );
  return mergesFromScores(pieces, (id) => scores[id]);
}

/** Ids that only pad the embedding have no token in Hugging Face's files. */
function isFiller(token: string, type: number): boolean {
  return type === TOKEN_TYPE.unused && /^\[PAD\d+\]$/.test(token);
}

function vocabOf({ tokens, types }: Vocabulary): Record<string, number> {
  const entries = tokens.map((token, id) => [token, id] as const);
  return Object.fromEntries(entries.filter(([token, id]) => !isFiller(token, types[id])));
}

function toMerge(text: string): Merge {
  const at = text.indexOf(" ", 1);
  return [text.slice(0, at), text.slice(at + 1)];
}

function addedTokens({ tokens, types }: Vocabulary) {
  const special = (type: number) => type === TOKEN_TYPE.control || type === TOKEN_TYPE.unknown;
  return tokens.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: special(types[id]),
  })).filter(({ id, special }) => special || types[id] === TOKEN_TYPE.userDefined);
}

/** Adds BOS before a text and EOS after it. */
function postProcessor(bos: string | null, eos: string | null, tokens: readonly string[]) {
  if (bos === null && eos === null) return null;
  const token = (name: string | null, sequence: number) =>
    name === null ? [] : [{ SpecialToken: { id: name, type_id: sequence } }];
  const text = (id: string, sequence: number) => [
    ...token(bos, sequence),
    { Sequence: { id, type_id: sequence } },
    ...token(eos, sequence),
  ];
  const names = [...new Set([bos, eos].filter((name) => name !== null))];
  return {
    type: "TemplateProcessing",
    single: text("A", 0),
    pair: [...text("A", 0), ...text("B", 1)],
    special_tokens: Object.fromEntries(
      names.map((name) => [name, { id: name, ids: [tokens.indexOf(name)], tokens: [name] }]),
    ),
  };
}

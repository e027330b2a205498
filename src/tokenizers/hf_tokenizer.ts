/** Tokenizers in Hugging Face's format (tokenizer.json), with its own library. */
import { dirname, join } from "../packages/std_path.ts";
import { isObject } from "../files/fields.ts";
import { writeAll, writeAtomically, writeJson } from "../files/atomic.ts";
import { standIn } from "../files/stand_in.ts";
import { modelsInside } from "../files/models_inside.ts";
import { UserError } from "../options/user_error.ts";
import { absent } from "../files/absent.ts";
import { statOf } from "../files/stat.ts";
import {
  contentOf,
  type Declarations,
  declaredNames,
  furtherTokens,
  listedTokens,
  tokensToAdd,
} from "./added_tokens.ts";
import { ByteTokenizer, byteVocabulary, isByteTokenizer } from "./byte_tokenizer.ts";
import { chatTemplatesOf } from "./chat_templates.ts";
import { cleansUp, cleanUp } from "./clean_up.ts";
import type { AddedToken, Engine, EngineEncoding } from "./engine.ts";
import { extendedFiles, specialToken } from "./extended_files.ts";
import { openEngine } from "./open_engine.ts";
import type {
  DecodeOptions,
  EncodeOptions,
  Encoding,
  SpecialTokens,
  Tokenizer,
} from "./tokenizer.ts";
import { TOKENIZER_CONFIG, TOKENIZER_FILES, TOKENIZER_JSON } from "../files/tokenizer_files.ts";
import { quoted } from "../text.ts";

type Json = Record<string, unknown>;

/** Names of end-of-text, for a tokenizer.json without a tokenizer_config.json. */
const USUAL_EOS = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|im_end|>"];
const USUAL_BOS = ["<s>", "<|begin_of_text|>", "<bos>"];

/** A tokenizer's files by Hugging Face's names. */
export type TokenizerFiles = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/**
 * Opens a tokenizer.json, or that of a folder, with its companion files. Throws a {@link UserError}
 * that names the file and the fault.
 */
export async function openHfTokenizer(path: string): Promise<Tokenizer> {
  const { file, files } = await readTokenizerFiles(path);
  return tokenizerFromFiles(file, files);
}

/** The files of a tokenizer.json, or of a folder that has one; `file` is the path of the former. */
export async function readTokenizerFiles(
  path: string,
): Promise<{ file: string; files: TokenizerFiles }> {
  const info = await statOf(path);
  if (!info) return await absent("tokenizer", path);
  const file = info.isDirectory ? join(path, TOKENIZER_JSON) : path;
  return { file, files: await readFiles(dirname(file), file) };
}

/** A tokenizer from its files in memory; messages refer to tokenizer.json as `origin`. */
export function tokenizerFromFiles(
  origin: string,
  files: TokenizerFiles,
  warnings: readonly string[] = [],
): Tokenizer {
  const declarations = declarationsOf(origin, files);
  // Ours is as good as the library's and faster, but it has no chat template.
  const templates = chatTemplatesOf(files, declaredNames(declarations).chat_template);
  if (isByteTokenizer(declarations.tokenizer) && templates.size === 0) return new ByteTokenizer();
  return openFiles(origin, files, declarations, warnings);
}

/**
 * The tokenizer with these texts as special tokens. Texts that are tokens keep their ids, and become
 * special; others get the next ids. Throws a {@link UserError} for a tokenizer of bytes.
 */
export function addSpecialTokens(tokenizer: Tokenizer, texts: readonly string[]): Tokenizer {
  if (tokenizer instanceof HfTokenizer) return tokenizer.withSpecialTokens(texts);
  throw new UserError(
    `the tokenizer bytes has one token for each byte: ${texts.join(", ")} cannot be added`,
    "use a model with a tokenizer.json",
  );
}

/** A token that is declared beside tokenizer.json. */
export interface DeclaredToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

/** The tokens that other files than tokenizer.json declare. */
export function declaredTokens(tokenizer: Tokenizer): readonly DeclaredToken[] {
  return tokenizer instanceof HfTokenizer ? tokenizer.declared : [];
}

function openFiles(
  origin: string,
  files: TokenizerFiles,
  declarations: Declarations,
  warnings: readonly string[],
): HfTokenizer {
  const engine = openEngine(origin, declarations.tokenizer, files.get(TOKENIZER_JSON)!);
  return new HfTokenizer(origin, engine, files, declarations, warnings);
}

function declarationsOf(origin: string, files: TokenizerFiles): Declarations {
  const optional = (name: string): Json =>
    files.has(name) ? parse(join(dirname(origin), name), files.get(name)) : {};
  return {
    tokenizer: parse(origin, files.get(TOKENIZER_JSON)),
    config: optional(TOKENIZER_CONFIG),
    map: optional("special_tokens_map.json"),
    added: optional("added_tokens.json"),
  };
}

/** The tokenizer's files by name; `file` is tokenizer.json under whatever name it has. */
async function readFiles(
  folder: string,
  file: string,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of TOKENIZER_FILES) {
    try {
      files.set(name, await Deno.readFile(name === TOKENIZER_JSON ? file : join(folder, name)));
    } catch (error) {
      if (name !== TOKENIZER_JSON && error instanceof Deno.errors.NotFound) continue;
      throw new UserError(
        `tokenizer ${file}: cannot be read: ${(error as Error).message}`,
        await modelsInside(folder) ?? "a tokenizer.json is needed; transformers writes one with " +
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
      );
    }
  }
  return files;
}

function parse(path: string, bytes: Uint8Array | undefined): Json {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw (bytes && standIn(path, bytes)) ?? new UserError(
      `${path}: is not valid JSON: ${(error as Error).message}`,
      `it has ${bytes?.length} bytes; is it truncated?`,
    );
  }
  if (!isObject(json)) throw new UserError(`${path}: must be a JSON object`);
  return json;
}

class HfTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly specialTokens: SpecialTokens;
  readonly chatTemplate: string | null;
  readonly toolTemplate?: string;
  readonly declared: readonly DeclaredToken[];
  readonly #cleansUp: boolean;
  readonly #pieces: (unknown: readonly string[]) => readonly string[];

  constructor(
    readonly path: string,
    private readonly engine: Engine,
    readonly files: TokenizerFiles,
    declarations: Declarations,
    readonly warnings: readonly string[],
  ) {
    const { tokenizer, config } = declarations, names = declaredNames(declarations);
    this.declared = addDeclaredTokens(path, engine, declarations);
    const named = (name: unknown, usual: readonly string[]) =>
      name === undefined
        ? usual.find((token) => engine.tokenId(token) !== null) ?? null
        : contentOf(name);
    const others = furtherTokens(names);
    this.specialTokens = {
      bosToken: named(names.bos_token, USUAL_BOS),
      eosToken: named(names.eos_token, USUAL_EOS),
      unkToken: contentOf(names.unk_token),
      padToken: contentOf(names.pad_token),
      ...(Object.keys(others).length > 0 && { others }),
    };
    const idOf = (token: string | null) => token === null ? null : engine.tokenId(token);
    this.bosTokenId = idOf(this.specialTokens.bosToken);
    this.eosTokenId = idOf(this.specialTokens.eosToken);
    this.vocabSize = engine.vocabSize();
    const templates = chatTemplatesOf(files, names.chat_template);
    this.chatTemplate = templates.get("default") ?? null;
    this.toolTemplate = templates.get("tool_use");
    const { type } = tokenizer.model as Json;
    this.#cleansUp = cleansUp(type, config);
    this.#pieces = unknownPieces(tokenizer);
  }

  encode(text: string, options?: EncodeOptions): number[] {
    return Array.from(this.#encode(text, false, options).ids);
  }

  encodeWithOffsets(text: string, options?: EncodeOptions): Encoding {
    const { ids, starts, ends } = this.#encode(text, true, options);
    return { ids: Array.from(ids), starts, ends };
  }

  #encode(
    text: string,
    offsets: boolean,
    { addSpecialTokens = true, unknown }: EncodeOptions = {},
  ): EngineEncoding {
    const encoding = this.#work(
      `${quoted(text.slice(0, 40))} cannot be encoded`,
      () => this.engine.encode(text, { addSpecialTokens, offsets }),
    );
    unknown?.add(encoding.ids.length, encoding.unknown.length, this.#pieces(encoding.unknown));
    return encoding;
  }

  decode(ids: ArrayLike<number>, { skipSpecialTokens = false }: DecodeOptions = {}): string {
    if (ids.length === 0) return "";
    const text = this.#work(null, () => this.engine.decode(ids, skipSpecialTokens));
    return this.#cleansUp ? cleanUp(text) : text;
  }

  /** The library's faults, with the file. */
  #work<T>(what: string | null, work: () => T): T {
    try {
      return work();
    } catch (error) {
      const { message } = error as Error;
      throw new UserError([this.path, what, message].filter((part) => part !== null).join(": "));
    }
  }

  /** See {@link addSpecialTokens}. */
  withSpecialTokens(texts: readonly string[]): HfTokenizer {
    const { path, files } = this, declarations = declarationsOf(path, files);
    const fresh = texts.map(specialToken), declared = tokensToAdd(declarations);
    // Those of the vocabulary keep their ids, others get the next ones.
    const engine = openEngine(path, declarations.tokenizer, files.get(TOKENIZER_JSON)!);
    engine.add([...declared, ...fresh]);
    const numbered = (token: AddedToken) => ({ ...token, id: engine.tokenId(token.content)! });
    const others = declared.filter(({ content }) => !texts.includes(content));
    const added = fresh.map(numbered);
    const extended = extendedFiles(files, [...others.map(numbered), ...added], added);
    return openFiles(path, extended, declarationsOf(path, extended), this.warnings);
  }

  async save(folder: string): Promise<void> {
    for (const [name, bytes] of this.files) {
      await Deno.mkdir(dirname(join(folder, name)), { recursive: true });
      await writeAtomically(join(folder, name), (file) => writeAll(file, bytes));
    }
    // transformers does not infer the class of a lone tokenizer.json.
    if (this.files.has(TOKENIZER_CONFIG)) return;
    await writeJson(join(folder, TOKENIZER_CONFIG), {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: this.specialTokens.bosToken,
      eos_token: this.specialTokens.eosToken,
      clean_up_tokenization_spaces: false,
    });
  }
}

/** The files that a tokenizer was read from, by their names; none of bytes. */
export function filesOfTokenizer(tokenizer: Tokenizer): TokenizerFiles {
  return tokenizer instanceof HfTokenizer ? tokenizer.files : new Map();
}

/** Adds what the other files declare, as transformers does, but for BOS and EOS under a mere name. */
function addDeclaredTokens(
  path: string,
  engine: Engine,
  declarations: Declarations,
): DeclaredToken[] {
  if (declarations.config.split_special_tokens === true) {
    throw new UserError(
      `${path}: split_special_tokens in ${TOKENIZER_CONFIG} is not supported`,
      "it spells special tokens out; remove it to have each as the one token that it is",
    );
  }
  const names = declaredNames(declarations);
  const listed = new Set(listedTokens(declarations).others.map(({ content }) => content));
  for (const field of ["bos_token", "eos_token"]) {
    const name = contentOf(names[field]);
    if (name === null || listed.has(name) || engine.tokenId(name) !== null) continue;
    throw new UserError(`${path}: ${field} ${quoted(name)} is not in the vocabulary`);
  }
  const tokens = tokensToAdd(declarations);
  engine.add(tokens);
  return tokens.map(({ content, special }) => ({ id: engine.tokenId(content)!, content, special }));
}

/**
 * How to show what had no token: whole words where a model looks words up, else characters; bytes
 * in the tokenizer's own spelling as bytes.
 */
function unknownPieces(tokenizer: Json): (unknown: readonly string[]) => readonly string[] {
  const { type } = tokenizer.model as Json;
  if (type === "WordLevel" || type === "WordPiece") return (unknown) => unknown;
  if (!JSON.stringify(tokenizer.pre_tokenizer ?? null).includes('"ByteLevel"')) {
    return (unknown) => unknown.flatMap((piece) => [...piece]);
  }
  const bytes = byteVocabulary();
  return (unknown) =>
    unknown.flatMap((piece) => [...piece])
      .map((character) => `byte 0x${bytes[character]?.toString(16).padStart(2, "0")}`);
}

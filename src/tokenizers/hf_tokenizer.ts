/** Tokenizers in Hugging Face's format (tokenizer.json), through `@huggingface/tokenizers`. */
import { Tokenizer as HfImplementation } from "@huggingface/tokenizers";
import { dirname, join } from "@std/path";
import { isObject } from "../files/fields.ts";
import { writeAll, writeAtomically, writeJson } from "../files/atomic.ts";
import { standIn } from "../files/stand_in.ts";
import { UserError } from "../options/user_error.ts";
import { ByteTokenizer, isByteTokenizer } from "./byte_tokenizer.ts";
import type { DecodeOptions, EncodeOptions, SpecialTokens, Tokenizer } from "./tokenizer.ts";
import { TOKENIZER_CONFIG, TOKENIZER_FILES, TOKENIZER_JSON } from "../files/tokenizer_files.ts";

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
  const info = await Deno.stat(path).catch(() => null);
  if (!info) throw new UserError(`tokenizer ${path}: no such file or folder`);
  const file = info.isDirectory ? join(path, TOKENIZER_JSON) : path;
  return { file, files: await readFiles(dirname(file), file) };
}

/** A tokenizer from its files in memory; messages refer to tokenizer.json as `origin`. */
export function tokenizerFromFiles(origin: string, files: TokenizerFiles): Tokenizer {
  const json = parse(origin, files.get(TOKENIZER_JSON));
  if (isByteTokenizer(json)) return new ByteTokenizer();
  if (!isObject(json.model) || !json.model.vocab) {
    throw new UserError(`${origin}: is not a tokenizer: model.vocab is missing`);
  }
  const optional = (name: string): Json =>
    files.has(name) ? parse(join(dirname(origin), name), files.get(name)) : {};
  const config = optional(TOKENIZER_CONFIG), special = optional("special_tokens_map.json");
  let implementation: HfImplementation;
  try {
    // Both default to false in current transformers but to true in the package.
    const defaults = { clean_up_tokenization_spaces: false };
    implementation = new HfImplementation({ added_tokens: [], ...json }, {
      ...defaults,
      ...config,
    });
  } catch (error) {
    throw new UserError(`${origin}: is not a tokenizer: ${(error as Error).message}`);
  }
  return new HfTokenizer(origin, implementation, files, { ...special, ...config });
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
        "a tokenizer.json is needed; transformers writes one with " +
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

  constructor(
    readonly path: string,
    private readonly implementation: HfImplementation,
    readonly files: TokenizerFiles,
    names: Json,
  ) {
    let largest = -1;
    for (const id of implementation.get_vocab().values()) largest = Math.max(largest, id);
    this.vocabSize = largest + 1;
    this.bosTokenId = this.#special(names.bos_token, "bos_token", USUAL_BOS);
    this.eosTokenId = this.#special(names.eos_token, "eos_token", USUAL_EOS);
    const named = (id: number | null) =>
      id === null ? null : implementation.id_to_token(id) ?? null;
    this.specialTokens = {
      bosToken: named(this.bosTokenId),
      eosToken: named(this.eosTokenId),
      unkToken: contentOf(names.unk_token),
      padToken: contentOf(names.pad_token),
    };
    this.chatTemplate = chatTemplateOf(files, names.chat_template);
  }

  encode(text: string, { addSpecialTokens = true }: EncodeOptions = {}): number[] {
    const { ids, tokens } = this.implementation.encode(text, {
      add_special_tokens: addSpecialTokens,
    });
    const unknown = ids.findIndex((id) => id === undefined);
    if (unknown >= 0) {
      throw new UserError(
        `${this.path}: has no token for ${JSON.stringify(tokens[unknown])}, and no unknown token`,
      );
    }
    return ids;
  }

  decode(ids: ArrayLike<number>, { skipSpecialTokens = false }: DecodeOptions = {}): string {
    if (ids.length === 0) return "";
    const all = Array.from(ids);
    const foreign = all.find((id) => this.implementation.id_to_token(id) === undefined);
    if (foreign !== undefined) {
      throw new UserError(
        `${this.path}: has no token ${foreign}, its vocabulary is ${this.vocabSize}`,
      );
    }
    return this.implementation.decode(all, { skip_special_tokens: skipSpecialTokens });
  }

  async save(folder: string): Promise<void> {
    for (const [name, bytes] of this.files) {
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

  /** The id of the token named in the configuration, or else of the first usual one. */
  #special(named: unknown, field: string, usual: readonly string[]): number | null {
    const name = isObject(named) ? named.content : named;
    if (name === null) return null;
    if (name === undefined) {
      const ids = usual.map((token) => this.implementation.token_to_id(token));
      return ids.find((id) => id !== undefined) ?? null;
    }
    const id = this.implementation.token_to_id(String(name));
    if (id === undefined) {
      throw new UserError(
        `${this.path}: ${field} ${JSON.stringify(name)} is not in the vocabulary`,
      );
    }
    return id;
  }
}

/** A special token in tokenizer_config.json: a string, or an object with its properties. */
function contentOf(token: unknown): string | null {
  const content = isObject(token) ? token.content : token;
  return typeof content === "string" ? content : null;
}

/** transformers 5 keeps the template in a file, 4 kept one or several named ones in the config. */
function chatTemplateOf(files: TokenizerFiles, configured: unknown): string | null {
  const file = files.get("chat_template.jinja");
  if (file) return new TextDecoder().decode(file);
  if (typeof configured === "string") return configured;
  if (!Array.isArray(configured)) return null;
  const standard = configured.find((each) => isObject(each) && each.name === "default");
  return typeof standard?.template === "string" ? standard.template : null;
}

/** Tokenizers of Hugging Face's format (tokenizer.json), by the `@huggingface/tokenizers` package. */
import { Tokenizer as HfImplementation } from "@huggingface/tokenizers";
import { dirname, join } from "@std/path";
import { isObject } from "../formats/fields.ts";
import { writeAll, writeAtomically, writeJson } from "../formats/atomic.ts";
import { UserError } from "../gpu/errors.ts";
import { ByteTokenizer, isByteTokenizer } from "./byte_tokenizer.ts";
import type { DecodeOptions, EncodeOptions, Tokenizer } from "./tokenizer.ts";

type Json = Record<string, unknown>;

const TOKENIZER = "tokenizer.json", CONFIG = "tokenizer_config.json";

/** Everything that may belong to a tokenizer in a model's folder; copied as it is. */
const FILES = [
  TOKENIZER,
  CONFIG,
  "special_tokens_map.json",
  "added_tokens.json",
  "tokenizer.model",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
];

/** Names of end-of-text, for a tokenizer.json that comes without its tokenizer_config.json. */
const USUAL_EOS = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|im_end|>"];
const USUAL_BOS = ["<s>", "<|begin_of_text|>", "<bos>"];

/**
 * Opens a tokenizer.json, or that of a folder, with what lies beside it. Throws a
 * {@link UserError} that names the file and what is wrong with it.
 */
export async function openHfTokenizer(path: string): Promise<Tokenizer> {
  const info = await Deno.stat(path).catch(() => null);
  if (!info) throw new UserError(`tokenizer ${path}: there is no such file or folder`);
  const file = info.isDirectory ? join(path, TOKENIZER) : path;
  const files = await readFiles(dirname(file), file);
  const json = parse(file, files.get(TOKENIZER));
  if (isByteTokenizer(json)) return new ByteTokenizer();
  if (!isObject(json.model) || !json.model.vocab) {
    throw new UserError(`${file}: is no tokenizer: model.vocab is missing`);
  }
  const optional = (name: string): Json =>
    files.has(name) ? parse(join(dirname(file), name), files.get(name)) : {};
  const config = optional(CONFIG), special = optional("special_tokens_map.json");
  let implementation: HfImplementation;
  try {
    // Both are false in today's transformers and true in what the package assumes.
    const defaults = { clean_up_tokenization_spaces: false };
    implementation = new HfImplementation({ added_tokens: [], ...json }, {
      ...defaults,
      ...config,
    });
  } catch (error) {
    throw new UserError(`${file}: is no tokenizer: ${(error as Error).message}`);
  }
  return new HfTokenizer(file, implementation, files, { ...special, ...config });
}

/** The tokenizer's files by name; `file` is tokenizer.json under whatever name it has. */
async function readFiles(
  folder: string,
  file: string,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of FILES) {
    try {
      files.set(name, await Deno.readFile(name === TOKENIZER ? file : join(folder, name)));
    } catch (error) {
      if (name !== TOKENIZER && error instanceof Deno.errors.NotFound) continue;
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
    throw new UserError(
      `${path}: is no valid JSON: ${(error as Error).message}`,
      `it has ${bytes?.length} bytes; was it cut off?`,
    );
  }
  if (!isObject(json)) throw new UserError(`${path}: must be a JSON object`);
  return json;
}

class HfTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;

  constructor(
    readonly path: string,
    private readonly implementation: HfImplementation,
    private readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
    names: Json,
  ) {
    let largest = -1;
    for (const id of implementation.get_vocab().values()) largest = Math.max(largest, id);
    this.vocabSize = largest + 1;
    this.bosTokenId = this.#special(names.bos_token, "bos_token", USUAL_BOS);
    this.eosTokenId = this.#special(names.eos_token, "eos_token", USUAL_EOS);
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
    // transformers will not guess the class of a lone tokenizer.json.
    if (this.files.has(CONFIG)) return;
    const named = (id: number | null) => id === null ? null : this.implementation.id_to_token(id);
    await writeJson(join(folder, CONFIG), {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: named(this.bosTokenId),
      eos_token: named(this.eosTokenId),
      clean_up_tokenization_spaces: false,
    });
  }

  /** The id of the token that the configuration names, or else of the first usual one. */
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

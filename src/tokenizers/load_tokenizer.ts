/** Loads a tokenizer by name: bytes, or one in Hugging Face's format. */
import { join } from "../packages/std_path.ts";
import { isGgufPath, orItsGguf } from "../files/gguf_path.ts";
import { TOKENIZER_JSON } from "../files/tokenizer_files.ts";
import { readGgufMetadata } from "../formats/gguf/split.ts";
import { ggufTokenizerWarnings, readGgufTokenizer } from "../formats/gguf/tokenizer_in.ts";
import { type HubOptions, isHubSpec, resolveTokenizer } from "../hub/hub.ts";
import { isThere } from "../files/stat.ts";
import { ByteTokenizer } from "./byte_tokenizer.ts";
import { openHfTokenizer, tokenizerFromFiles } from "./hf_tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * `bytes`, or the path of a `tokenizer.json`, a folder with one, or a GGUF file, or a model's
 * `hf:org/name`. Throws a UserError that describes the fault.
 *
 * @example
 * ```ts
 * import { loadTokenizer } from "@deno-galore/trainer";
 *
 * const tokenizer = await loadTokenizer("bytes");
 * tokenizer.encode("é"); // [195, 169]
 * ```
 */
export async function loadTokenizer(spec: string, hub?: HubOptions): Promise<Tokenizer> {
  if (spec === "bytes") return new ByteTokenizer();
  const path = isHubSpec(spec) ? await resolveTokenizer(spec, hub) : await localPath(spec);
  if (!isGgufPath(path)) return await openHfTokenizer(path);
  const metadata = await readGgufMetadata(path);
  return tokenizerFromFiles(path, readGgufTokenizer(metadata), ggufTokenizerWarnings(metadata));
}

/** A folder's own tokenizer comes before that of a GGUF model in it. */
async function localPath(path: string): Promise<string> {
  return await isThere(join(path, TOKENIZER_JSON)) ? path : await orItsGguf(path);
}

/**
 * The tokenizer of a model, or of its adapter if that has one: adapters are saved with the
 * tokenizer and the chat template that they were trained with.
 */
export async function loadModelTokenizer(model: string, adapter?: string): Promise<Tokenizer> {
  const own = adapter !== undefined && await isThere(join(adapter, TOKENIZER_JSON));
  return await loadTokenizer(own ? adapter : model);
}

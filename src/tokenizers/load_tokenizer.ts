/** Loads a tokenizer by name: bytes, or one in Hugging Face's format. */
import { join } from "@std/path";
import { isThere } from "../files/is_there.ts";
import { readGgufHeader } from "../formats/gguf/header.ts";
import { readGgufTokenizer } from "../formats/gguf/tokenizer_in.ts";
import { type HubOptions, isHubSpec, resolveTokenizer } from "../hub/hub.ts";
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
  if (isHubSpec(spec)) return await loadTokenizer(await resolveTokenizer(spec, hub));
  if (spec.toLowerCase().endsWith(".gguf")) {
    const { metadata } = await readGgufHeader(spec);
    return tokenizerFromFiles(spec, readGgufTokenizer(metadata));
  }
  return await openHfTokenizer(spec);
}

/**
 * The tokenizer of a model, or of its adapter if that has one: adapters are saved with the
 * tokenizer and the chat template that they were trained with.
 */
export async function loadModelTokenizer(model: string, adapter?: string): Promise<Tokenizer> {
  const own = adapter !== undefined && await isThere(join(adapter, "tokenizer.json"));
  return await loadTokenizer(own ? adapter : model);
}

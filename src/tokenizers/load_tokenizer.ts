/** Loads a tokenizer by name: bytes, or one in Hugging Face's format. */
import { join } from "../packages/std_path.ts";
import { isGgufPath, orItsGguf } from "../files/gguf_path.ts";
import { TOKENIZER_JSON } from "../files/tokenizer_files.ts";
import { isCheckpoint } from "../formats/checkpoint/contents.ts";
import { findModel } from "../formats/find_model.ts";
import { readGgufMetadata } from "../formats/gguf/split.ts";
import { ggufTokenizerWarnings, readGgufTokenizer } from "../formats/gguf/tokenizer_in.ts";
import { type HubOptions, isHubSpec, resolveTokenizer } from "../hub/hub.ts";
import { isThere, statOf } from "../files/stat.ts";
import { UserError } from "../options/user_error.ts";
import { ByteTokenizer } from "./byte_tokenizer.ts";
import { openHfTokenizer, tokenizerFromFiles } from "./hf_tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * `bytes`, or the path of a `tokenizer.json`, a folder with one, a GGUF file, a run or one of its
 * checkpoints, or a model's `hf:org/name`. Throws a UserError that describes the fault.
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
  const path = isHubSpec(spec) ? await resolveTokenizer(spec, hub) : await localPath(spec, hub);
  if (!isGgufPath(path)) return await openHfTokenizer(path);
  const metadata = await readGgufMetadata(path);
  return tokenizerFromFiles(path, readGgufTokenizer(metadata), ggufTokenizerWarnings(metadata));
}

/** A folder's own tokenizer comes before that of a model that is found in it. */
async function localPath(path: string, hub?: HubOptions): Promise<string> {
  if (!(await statOf(path))?.isDirectory || await hasTokenizer(path)) return path;
  const { model, adapter } = await findModel(path);
  if (adapter !== undefined && await hasTokenizer(adapter)) return adapter;
  if (isHubSpec(model)) return await resolveTokenizer(model, hub);
  if (await isCheckpoint(model) && !await hasTokenizer(model)) {
    throw new UserError(
      `${model}: holds no tokenizer: an earlier version of this program wrote it`,
      "resume the run with this version, and use its next checkpoint",
    );
  }
  return await orItsGguf(model);
}

function hasTokenizer(folder: string): Promise<boolean> {
  return isThere(join(folder, TOKENIZER_JSON));
}

/**
 * The tokenizer of a model, or of its adapter if that has one: adapters are saved with the
 * tokenizer and the chat template that they were trained with.
 */
export async function loadModelTokenizer(model: string, adapter?: string): Promise<Tokenizer> {
  const found = await findModel(model, adapter);
  const own = found.adapter !== undefined && await hasTokenizer(found.adapter);
  return await loadTokenizer(own ? found.adapter! : found.model);
}

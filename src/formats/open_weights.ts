/** Opens weights by path: a folder or file of safetensors, or a GGUF file. */
import { isGgufPath } from "../files/gguf_path.ts";
import { GgufFile } from "./gguf/gguf_file.ts";
import { withCausalNames } from "./module_names.ts";
import { Safetensors } from "./safetensors.ts";
import type { WeightFile } from "./weight_file.ts";

/**
 * Opens a `.gguf` file with {@link GgufFile}, anything else with {@link Safetensors}; tensors are
 * known by transformers' names. Throws a {@link UserError} on an invalid file.
 */
export async function openWeights(path: string): Promise<WeightFile> {
  return isGgufPath(path)
    ? await GgufFile.open(path)
    : withCausalNames(await Safetensors.open(path));
}

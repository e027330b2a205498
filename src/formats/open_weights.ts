/** Opens weights by path: a folder or file of safetensors, or a GGUF file. */
import { GgufFile } from "./gguf/gguf_file.ts";
import { Safetensors } from "./safetensors.ts";
import type { WeightFile } from "./weight_file.ts";

/** Whether a path names a GGUF file, by its extension, as in llama.cpp's own tools. */
export function isGgufPath(path: string): boolean {
  return path.toLowerCase().endsWith(".gguf");
}

/**
 * Opens a `.gguf` file with {@link GgufFile}, anything else with {@link Safetensors}. Throws a
 * {@link UserError} on an invalid file.
 */
export async function openWeights(path: string): Promise<WeightFile> {
  return isGgufPath(path) ? await GgufFile.open(path) : await Safetensors.open(path);
}

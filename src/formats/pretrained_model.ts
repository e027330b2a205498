/** A pre-trained model on disk, in any of the formats that are read. */
import { type LlamaConfig } from "../model/config.ts";
import { readLlamaConfig } from "./hf_config.ts";
import { Safetensors } from "./safetensors.ts";
import type { WeightFile } from "./weight_file.ts";

/** What it holds is known, no weight has been read. Closing it closes its files. */
export interface PretrainedModel extends Disposable {
  readonly path: string;
  readonly config: LlamaConfig;
  readonly weights: WeightFile;
}

/** Opens a Hugging Face folder. Faults are {@link UserError}s that name file and values. */
export async function openPretrained(path: string): Promise<PretrainedModel> {
  const config = await readLlamaConfig(path);
  const weights = await Safetensors.open(path);
  return { path, config, weights, [Symbol.dispose]: () => weights.close() };
}

/** A pre-trained model on disk, in any supported format. */
import { join } from "@std/path";
import { UserError } from "../options/user_error.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { LlamaParameters } from "../model/parameters.ts";
import { option, phrase } from "../options/phrase.ts";
import { GgufFile } from "./gguf/gguf_file.ts";
import {
  readLlamaConfig,
  type SavedDType,
  writeGenerationConfig,
  writeHfConfig,
} from "./hf_config.ts";
import { isHubSpec, resolveModel, resolveTokenizer } from "../hub/hub.ts";
import { copyModelFiles, readRawConfig } from "./model_files.ts";
import { isGgufPath, orItsGguf } from "../files/gguf_path.ts";
import { openWeights } from "./open_weights.ts";
import { saveWeights } from "./pretrained.ts";
import { Safetensors } from "./safetensors.ts";
import type { WeightFile } from "./weight_file.ts";

/** An opened model; no weights have been read. Closing it closes its files. */
export interface PretrainedModel extends Disposable {
  /** Its local path. */
  readonly path: string;
  /** Its shape. */
  readonly config: LlamaConfig;
  /** Its weights, read on demand. */
  readonly weights: WeightFile;
}

/**
 * Opens a Hugging Face folder, a `.gguf` file, or `hf:org/name`, downloaded if needed. Throws
 * {@link UserError}s that name file and values.
 */
export async function openPretrained(spec: string): Promise<PretrainedModel> {
  const path = await resolveModel(spec);
  if (isGgufPath(path)) {
    const weights = await GgufFile.open(path);
    return { path, config: weights.config, weights, [Symbol.dispose]: () => weights.close() };
  }
  await refuseAdapter(path);
  const config = await readLlamaConfig(path);
  const weights = await Safetensors.open(path);
  return { path, config, weights, [Symbol.dispose]: () => weights.close() };
}

/** Refuses an adapter's folder, which resembles a model's. */
async function refuseAdapter(path: string): Promise<void> {
  const has = async (name: string) =>
    (await Deno.stat(join(path, name)).catch(() => undefined))?.isFile;
  if (!await has("adapter_config.json") || await has("config.json")) return;
  throw new UserError(
    `${path}: is an adapter, not a model`,
    phrase`give its model, and ${option("adapter", path)}; or merge the two`,
  );
}

/** The configuration of a model, or a config.json; downloads no weights from the hub. */
export async function readModelConfig(spec: string): Promise<LlamaConfig> {
  const path = isHubSpec(spec) ? await resolveTokenizer(spec) : await orItsGguf(spec);
  if (!isGgufPath(path)) return await readLlamaConfig(path);
  using model = await openPretrained(path);
  return model.config;
}

export interface SavedModel {
  readonly config: LlamaConfig;
  readonly dtype: "bfloat16" | "float32";
  /** The base model, whose files besides the weights are kept. */
  readonly path: string;
}

/** Writes a trained model as a folder that transformers loads; the tokenizer is not part of it. */
export async function savePretrained(
  gpu: Gpu,
  parameters: LlamaParameters,
  folder: string,
  { config, dtype, path }: SavedModel,
): Promise<void> {
  using original = await openWeights(path);
  await saveWeights(gpu, parameters, folder, dtype, original);
  await writeModelFiles(folder, { config, dtype, path });
}

/** Writes the files besides the weights of a derived model, except the tokenizer. */
export async function writeModelFiles(
  folder: string,
  { config, dtype, path }: Omit<SavedModel, "dtype"> & { readonly dtype: SavedDType },
): Promise<void> {
  if (isGgufPath(path)) return await writeHfConfig(folder, config, dtype);
  await writeHfConfig(folder, config, dtype, await readRawConfig(path));
  const kept = await copyModelFiles(path, folder);
  if (!kept.includes("generation_config.json")) await writeGenerationConfig(folder, config);
}

/** A pre-trained model on disk, in any of the formats that are read. */
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
import { isGgufPath, openWeights } from "./open_weights.ts";
import { saveWeights } from "./pretrained.ts";
import { Safetensors } from "./safetensors.ts";
import type { WeightFile } from "./weight_file.ts";

/** What it holds is known, no weight has been read. Closing it closes its files. */
export interface PretrainedModel extends Disposable {
  /** Where it lies on this machine. */
  readonly path: string;
  /** Its shape. */
  readonly config: LlamaConfig;
  /** Its weights, read on demand. */
  readonly weights: WeightFile;
}

/**
 * Opens a Hugging Face folder, a `.gguf` file, or what `hf:org/name` names, downloaded first where
 * need be. Faults are {@link UserError}s that name file and values.
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

/** An adapter's folder looks much like a model's. */
async function refuseAdapter(path: string): Promise<void> {
  const has = async (name: string) =>
    (await Deno.stat(join(path, name)).catch(() => undefined))?.isFile;
  if (!await has("adapter_config.json") || await has("config.json")) return;
  throw new UserError(
    `${path}: is an adapter, not a model`,
    phrase`give its model, and ${option("adapter", path)}; or merge the two`,
  );
}

/** The configuration of a model, or a config.json; of a hub's model no weights are downloaded. */
export async function readModelConfig(spec: string): Promise<LlamaConfig> {
  if (isGgufPath(spec)) {
    using model = await openPretrained(spec);
    return model.config;
  }
  return await readLlamaConfig(isHubSpec(spec) ? await resolveTokenizer(spec) : spec);
}

export interface SavedModel {
  readonly config: LlamaConfig;
  readonly dtype: "bfloat16" | "float32";
  /** The model that it was trained from: what lies there beside the weights is kept. */
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

/** What lies beside the weights of a model that comes from another one, but for the tokenizer. */
export async function writeModelFiles(
  folder: string,
  { config, dtype, path }: Omit<SavedModel, "dtype"> & { readonly dtype: SavedDType },
): Promise<void> {
  if (isGgufPath(path)) return await writeHfConfig(folder, config, dtype);
  await writeHfConfig(folder, config, dtype, await readRawConfig(path));
  const kept = await copyModelFiles(path, folder);
  if (!kept.includes("generation_config.json")) await writeGenerationConfig(folder, config);
}

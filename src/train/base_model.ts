/**
 * The model that a run starts from: opened before anything is allocated, loaded when the run
 * starts, and what its result is saved as.
 */
import { join, resolve } from "../packages/std_path.ts";

import { checkTokenizer } from "../tokenizers/check_tokenizer.ts";
import { addSpecialTokens } from "../tokenizers/hf_tokenizer.ts";
import { loadModelTokenizer, loadTokenizer } from "../tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { isHubSpec, parseHubSpec } from "../hub/spec.ts";
import { withRows } from "../formats/grown_vocabulary.ts";
import { findModel } from "../formats/find_model.ts";
import { openWithAdapter } from "../formats/peft/adapted_model.ts";
import { BASE_MARK } from "../formats/peft/layout.ts";
import { saveAdapter, saveAdapterConfig } from "../formats/peft/save.ts";
import { loadWeights, saveWeights } from "../formats/pretrained.ts";
import { weightsMark } from "../formats/weights_mark.ts";
import { openPretrained, type PretrainedModel } from "../formats/pretrained_model.ts";
import {
  type BaseFiles,
  type Conversing,
  writeModelFolder,
  writeTokenizer,
} from "../export/model_folder.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { LlamaConfig } from "../model/config.ts";
import { isThere } from "../files/stat.ts";
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { resultOf } from "../model/lora_shape.ts";
import type { LlamaParameters } from "../model/parameters.ts";
import { assertOutside } from "./base_in_output.ts";
import type { TrainedModel, TrainingShape } from "./build.ts";
import { type Continued, continuedShape } from "./continued_adapter.ts";
import type { OnPreparation, OnWritten } from "./events.ts";
import { initializeAdapters } from "./initialize_adapters.ts";
import { type StretchOptions, stretchRope } from "./stretch_rope.ts";

/** Names a base, and how the run changes it. */
export interface BaseOptions extends StretchOptions {
  /** A folder, a .gguf file, or `hf:…`. */
  readonly model: string;
  /** Folder of an adapter to train further. */
  readonly adapter?: string;
  /** Instead of the model's own. */
  readonly tokenizer?: string;
  /** Special tokens to add. */
  readonly addTokens?: readonly string[];
  /** Whether embedding and head are trained beside adapters. */
  readonly trainEmbeddings: boolean;
  /** The run's folder, if it is known yet: the base may not lie in it. */
  readonly output?: string;
  /** The checkpoint or run that is continued. */
  readonly resume?: string;
}

/** What a run starts from, except the weights. */
export interface Base extends Pick<PretrainedModel, "config" | "path" | "warnings"> {
  /** The model's own or another, with the added tokens. */
  readonly tokenizer: Tokenizer;
  /** The model itself, as found by what the options name: its `hf:…`, or where it is on the disk. */
  readonly origin: string;
  /** Folder of the adapter that is trained further, named or found likewise. */
  readonly adapter?: string;
  /** What the model's weights are now, read once: see formats/weights_mark.ts. */
  readonly mark: () => Promise<string>;
  /** What it determines. */
  readonly continued?: Continued;
}

/**
 * The model that a run starts from, without its weights, and its tokenizer. Throws a {@link UserError}
 * if it lies where the run writes.
 */
export async function openBase(options: BaseOptions): Promise<Base> {
  const { model: spec, addTokens } = options;
  const { model, adapter } = await findModel(spec, options.adapter);
  // A download lies in the hub's cache.
  await assertOutside(options, { model: isHubSpec(model) ? undefined : model, adapter });
  using source = await openWithAdapter(model, adapter);
  const { path, warnings } = source, stretched = stretchRope(source.config, options, spec);
  const continued = source.adapter && continuedShape(source.adapter, source.resized!, options);
  const own = options.tokenizer
    ? await loadTokenizer(options.tokenizer)
    : await loadModelTokenizer(path, adapter);
  const tokenizer = addTokens ? addSpecialTokens(own, addTokens) : own;
  const config = addTokens
    ? { ...stretched, vocabSize: Math.max(stretched.vocabSize, tokenizer.vocabSize) }
    : stretched;
  const names = { tokenizer: options.tokenizer ?? spec, model: spec };
  const unknown = checkTokenizer(tokenizer, config, names);
  let marked: Promise<string> | undefined;
  return {
    config,
    path,
    origin: isHubSpec(model) ? model : resolve(path),
    adapter,
    tokenizer,
    warnings: [...warnings, ...tokenizer.warnings, ...unknown],
    mark: () => marked ??= markOf(path),
    continued,
  };
}

async function markOf(path: string): Promise<string> {
  using model = await openPretrained(path);
  return await weightsMark(model);
}

/**
 * The weights that a run starts from: the base's, and its adapter's or new ones. None of a `resumed` run
 * that keeps them all: its checkpoint has them.
 */
export async function loadBase(
  gpu: Gpu,
  { model, load }: TrainedModel,
  { path, adapter, config, seed, resumed }: {
    readonly path: string;
    readonly adapter?: string;
    readonly config: LlamaConfig;
    readonly seed: number;
    readonly resumed?: boolean;
  },
  onPreparation?: OnPreparation,
): Promise<void> {
  if (resumed && model.parameters.all.every(({ kept }) => kept)) return;
  using source = await openWithAdapter(path, adapter);
  await loadWeights(gpu, model.parameters, withRows(source.weights, config.vocabSize), {
    workspace: load,
    onProgress: (share) => onPreparation?.({ type: "preparation", what: "loading weights", share }),
  });
  if (source.adapter) await source.adapter.load(gpu, model.parameters);
  else initializeAdapters(gpu, model, seed);
}

/** What a run saves of a trained base. */
export interface Result {
  readonly output: string;
  /** The base as {@link Base.origin} names it. */
  readonly model: string;
  /** Where it is on the disk, its files that are copied, and what its weights were. */
  readonly base: Pick<Base, "path" | "mark"> & { readonly files: BaseFiles };
  readonly config: LlamaConfig;
  readonly shape: Pick<TrainingShape, "dtype" | "lora">;
  readonly tokenizer: Tokenizer;
  readonly talk: Conversing;
}

/** Saves a model in Hugging Face's layout, or the adapters alone in peft's; returns the folder. */
export async function saveResult(
  gpu: Gpu,
  { model: { parameters } }: TrainedModel,
  result: Result,
  onProgress?: OnWritten,
): Promise<string> {
  const { output, base, config, shape: { lora, dtype } } = result, kind = resultOf(lora);
  const frozen = kind === "model" && parameters.all.some(({ kept }) => !kept);
  using source = frozen ? await reopen(base) : undefined;
  const original = source && withRows(source.weights, config.vocabSize);
  return await writeResult(join(output, kind), async (folder) => {
    if (kind === "adapter") {
      await saveAdapter(gpu, parameters, folder, { [BASE_MARK]: await base.mark() });
    } else await saveWeights(gpu, parameters, folder, dtype, { original, onProgress });
    await describeResult(folder, parameters, result);
  });
}

/** The base at the end of a run, for the weights that were not trained. */
async function reopen({ path, mark }: Pick<Base, "path" | "mark">): Promise<PretrainedModel> {
  try {
    const model = await openPretrained(path);
    const before = await mark(), now = await weightsMark(model);
    if (now === before) return model;
    model[Symbol.dispose]();
    throw new UserError(
      `those in ${path} have changed during the run (their mark was ${before}, is ${now})`,
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      phrase`weights that were not trained are copied from the base: ${error.explanation.message}`,
      phrase`put the base back, or name the place where it is now as ${option("model")}`,
    );
  }
}

/** Writes a run's result into a folder, which it returns; one that nothing came to is removed. */
export async function writeResult(
  folder: string,
  write: (folder: string) => Promise<void>,
): Promise<string> {
  await Deno.mkdir(folder, { recursive: true });
  try {
    await write(folder);
  } catch (error) {
    await Deno.remove(folder).catch(() => {}); // it is not empty
    throw error;
  }
  return folder;
}

/** Writes all of a result but its weights: a model's configuration and tokenizer, or an adapter's. */
export async function describeResult(
  folder: string,
  parameters: LlamaParameters,
  { model, base, config, shape: { lora, dtype }, tokenizer, talk }: Result,
): Promise<void> {
  if (!lora || resultOf(lora) === "model") {
    const { files } = base, conversing = talk;
    return await writeModelFolder(folder, { config, dtype, base: files, tokenizer, conversing });
  }
  const { dropout, ...shape } = lora, name = baseName(model, base.path);
  await saveAdapterConfig(parameters, folder, { lora: shape, dropout, base: name });
  await writeTokenizer(folder, tokenizer, talk);
}

/** A warning about the result of another method in the same folder, which this one's won't replace. */
export async function otherResult(
  output: string,
  { lora }: Pick<TrainingShape, "lora">,
): Promise<string[]> {
  const other = join(output, resultOf(lora) === "adapter" ? "model" : "adapter");
  if (!await isThere(other)) return [];
  return [`${other} is the result of an earlier run: this one will not replace it`];
}

/** How peft's configuration names the base model: its name on the Hub, or its path. */
function baseName(model: string, path: string): string {
  return isHubSpec(model) ? parseHubSpec(model, "model").name : path;
}

/** A pre-trained model on disk, in any supported format. */
import { join, resolve } from "../packages/std_path.ts";
import { UserError } from "../options/user_error.ts";
import type { LlamaConfig } from "../model/config.ts";
import { option, phrase } from "../options/phrase.ts";
import { statOf } from "../files/stat.ts";
import { finiteWeights } from "./finite_weights.ts";
import { GgufFile } from "./gguf/gguf_file.ts";
import { readLlamaConfig } from "./hf_config.ts";
import { isHubSpec, resolveModel, resolveTokenizer } from "../hub/hub.ts";
import { isGgufPath, orItsGguf } from "../files/gguf_path.ts";
import { openWeights } from "./open_weights.ts";
import { isThere } from "../files/stat.ts";
import { type CheckpointContents, isCheckpoint, openCheckpoint } from "./checkpoint/contents.ts";
import { modelWeights } from "./checkpoint/weights.ts";
import { findModel } from "./find_model.ts";
import { withRows } from "./grown_vocabulary.ts";
import { weightsIn } from "./safetensors.ts";
import { weightsMark } from "./weights_mark.ts";
import { withHead } from "./output_head.ts";
import type { WeightFile } from "./weight_file.ts";

/** An opened model; no weights have been read. Closing it closes its files. */
export interface PretrainedModel extends Disposable {
  /** Its local path. */
  readonly path: string;
  /** Its shape. */
  readonly config: LlamaConfig;
  /** Its weights, read on demand. */
  readonly weights: WeightFile;
  /** What was taken otherwise than its config.json says, for the user. */
  readonly warnings: readonly string[];
}

/**
 * Opens a Hugging Face folder, a `.gguf` file, or `hf:org/name`, downloaded if needed; the folder of a
 * run or one of its checkpoints. `adapter` is the folder of the adapter that will be applied. Throws
 * {@link UserError}s that name file and values.
 */
export async function openPretrained(spec: string, adapter?: string): Promise<PretrainedModel> {
  const found = await findModel(spec);
  if (found.adapter !== undefined) throw notAModel(found.adapter);
  return await openFound(found.model, adapter);
}

/** The same for what {@link findModel} has found. */
export async function openFound(spec: string, adapter?: string): Promise<PretrainedModel> {
  const path = await resolveModel(spec);
  if (await isCheckpoint(path)) return await openCheckpointModel(path);
  if (isGgufPath(path)) {
    const file = await GgufFile.open(path), { config } = file, weights = finiteWeights(file);
    return { path, config, weights, warnings: [], [Symbol.dispose]: () => file.close() };
  }
  const warnings = await adapterIn(path, adapter);
  const config = await readLlamaConfig(path);
  const file = await openWeights(path);
  try {
    const model = await withHead(config, finiteWeights(file));
    return {
      path,
      ...model,
      warnings: [...warnings, ...model.warnings],
      [Symbol.dispose]: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

/**
 * Opens a checkpoint of a model. Weights that were not trained are read from `given`, or else from
 * the base that it names.
 */
export async function openCheckpointModel(path: string, given?: string): Promise<PretrainedModel> {
  const contents = await openCheckpoint(path), { parameters } = contents;
  const base = given ?? contents.base;
  const rest = base !== undefined && parameters.all.some(({ kept }) => !kept)
    ? await openPretrained(base)
    : undefined;
  const close = () => {
    contents[Symbol.dispose]();
    rest?.[Symbol.dispose]();
  };
  try {
    if (rest) await assertMarked(contents, rest);
    const config = await configIn(path), rows = contents.config.vocabSize;
    const weights = modelWeights(contents, rest && withRows(rest.weights, rows));
    return {
      path,
      config,
      weights: finiteWeights(weights),
      warnings: [],
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** Refuses a base that another has replaced since the run began. */
async function assertMarked(
  { path, baseMark }: Pick<CheckpointContents, "path" | "baseMark">,
  base: PretrainedModel,
): Promise<void> {
  if (baseMark === undefined) return;
  const mark = await weightsMark(base);
  if (mark === baseMark) return;
  throw new UserError(
    `checkpoint ${path}: the weights in ${base.path} are not those that the run started from: their ` +
      `mark was ${baseMark}, is ${mark}`,
    "put the weights back that the run started from",
  );
}

/** The configuration in a model's folder, or of a checkpoint that an old version wrote. */
async function configIn(path: string): Promise<LlamaConfig> {
  if (await isThere(join(path, "config.json")) || !await isCheckpoint(path)) {
    return await readLlamaConfig(path);
  }
  using contents = await openCheckpoint(path);
  return contents.config;
}

function notAModel(path: string): UserError {
  return new UserError(
    `${path}: is an adapter, not a model`,
    phrase`give its model, and ${option("adapter", path)}; or merge the two`,
  );
}

/**
 * Refuses an adapter's folder, which resembles a model's; an adapter beside a model, which transformers
 * would apply, is warned about.
 */
async function adapterIn(path: string, applied: string | undefined): Promise<string[]> {
  const has = async (name: string) => (await statOf(join(path, name)))?.isFile;
  if (!await has("adapter_config.json")) return [];
  if (!await has("config.json")) {
    throw notAModel(path);
  }
  if (applied !== undefined && resolve(applied) === resolve(path)) return [];
  return [
    `${path} holds an adapter beside the model, which transformers would apply: it is not applied, ` +
    "unless it is given as the adapter",
  ];
}

/** The configuration of a model as its config.json has it; downloads no weights from the hub. */
export async function readModelConfig(spec: string): Promise<LlamaConfig> {
  const { model: named } = await findModel(spec);
  const path = isHubSpec(named) ? await resolveTokenizer(named) : await orItsGguf(named);
  if (!isGgufPath(path)) return await configIn(path);
  using model = await openFound(path);
  return model.config;
}

/**
 * The same with the head that the weights have, as fine-tuning allocates it; where only config.json
 * is at hand, its own.
 */
export async function readBaseConfig(spec: string): Promise<LlamaConfig> {
  const config = await readModelConfig(spec);
  const { model: path } = await findModel(spec);
  if (!config.tieWordEmbeddings || isHubSpec(path) || !await weightsIn(path)) return config;
  using model = await openPretrained(path);
  return model.config;
}

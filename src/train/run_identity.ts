/** What makes two runs one: the options that a resume may not change, and what it says of others. */
import { UserError } from "../options/user_error.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { LoraShape } from "../model/lora_shape.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import { joinPhrases, option, type Phrase, phrase } from "../options/phrase.ts";
import type { TrainingShape } from "./build.ts";
import { embeddingOptimizerOf } from "./method_fields.ts";
import { crossEntropyObjective } from "./objective.ts";
import type { Recipe } from "./recipe.ts";

/** The identity of a checkpoint's run. Rates may change on resume, their seed may not. */
export interface RunIdentity {
  readonly config: LlamaConfig;
  readonly shape: TrainingShape;
  readonly rates: Pick<OptimizerRates, "seed"> & Partial<OptimizerRates>;
  /** Name of the objective. */
  readonly objective: string;
  /** The option, where it is known: it decides what is clipped by one norm. */
  readonly layerwise?: boolean;
}

/** The identity of a recipe's run. */
export function identityOf({ config, shape, rates, objective, options }: Recipe): RunIdentity {
  // How many processes train it is no part of a run; why gradients wait otherwise is an option. Nor is
  // how many of a step's batches are a process's own.
  const { exchange: _, shares: __, ...own } = shape.optimizer;
  const { layerwise, gradientAccumulation } = options, optimizer = { ...own, gradientAccumulation };
  const { name } = objective ?? crossEntropyObjective;
  return { config, shape: { ...shape, optimizer }, rates, objective: name, layerwise };
}

/**
 * What a resume may change: what affects memory and speed but not the training itself, how many
 * sequences a step takes, which is counted nowhere, and how exactly gradients are computed.
 */
const FREE = [
  "shape.batchSize",
  "shape.activationCheckpointing",
  "shape.activationQuant",
  "shape.samplePositions",
  "shape.optimizer.gradientAccumulation",
  "shape.optimizer.accumulatorQuant",
  "shape.optimizer.clips",
  "shape.optimizer.exchange",
];

/** The options that a run's identity comes from, where there is one for a field. */
const OPTIONS: Readonly<Record<string, string>> = {
  seed: "seed",
  "shape.batchSize": "batchSize",
  "shape.seqLen": "seqLen",
  "shape.dtype": "dtype",
  "shape.weightGroupSize": "weightGroupSize",
  "shape.lora.rank": "loraRank",
  "shape.lora.factors": "rank",
  "shape.lora.alpha": "loraAlpha",
  "shape.lora.rankStabilised": "useRslora",
  "shape.lora.dora": "useDora",
  "shape.lora.dropout": "loraDropout",
  "shape.lora.targets": "loraTarget",
  "shape.optimizer.gradientAccumulation": "gradientAccumulation",
  "shape.optimizer.rules.embeddings": "embeddingOptimizer",
  "shape.optimizer.projection.rank": "rank",
  "shape.optimizer.rank": "rank",
  "shape.optimizer.projection.quantised": "projQuant",
  "shape.optimizer.projection.groupSize": "projGroupSize",
  "shape.optimizer.projection.fira": "fira",
  "shape.optimizer.stableSpam": "stableSpam",
  momentumReset: "momentumReset",
  jaggedRestartSteps: "jaggedRestartSteps",
  jaggedRestartWarmupSteps: "jaggedRestartWarmupSteps",
};

const OFFLOADED = "shape.offloadedEmbedding";

/** What others are about, where their names do not say it. */
const ABOUT: Readonly<Record<string, Phrase>> = {
  "shape.lora.alone": phrase`whether factors take the place of matrices (${option("optimizer")})`,
  "shape.lora.merged": phrase`whether the result is a whole model (${option("optimizer")})`,
  "shape.optimizer.restarts": phrase`whether adapters restart (${option("optimizer")})`,
  "shape.embeddings": phrase`the format of embedding and head (${option("embeddingQuant")}, ${
    option("embedding4bit")
  })`,
  [OFFLOADED]: phrase`the format of the embedding (${option("embeddingQuant")})`,
};

/** A field of the identity in the reader's words: its option, or what it is about. */
export function named(field: string) {
  if (Object.hasOwn(OPTIONS, field)) return option(OPTIONS[field]);
  if (Object.hasOwn(ABOUT, field)) return ABOUT[field];
  const [, kind] = field.match(/^shape\.optimizer\.rules\.(.+)$/) ?? [];
  return kind ? `the update rule of ${kind}` : field.replace(/^(config|shape)\./, "");
}

/** Refuses to resume with options that would make it another run; rates may change. */
export function assertSameRun(path: string, saved: RunIdentity, now: RunIdentity): void {
  const before = identity(saved, now), after = identity(now, saved);
  const changed = Object.keys({ ...before, ...after })
    .filter((key) => !FREE.includes(key) && before[key] !== after[key])
    // The embedding's format is that of both, unless it alone is in host memory.
    .filter((key, _, all) => key !== OFFLOADED || !all.includes("shape.embeddings"))
    .map((key) =>
      phrase`${named(key)} was ${before[key] ?? "not set"}, is ${after[key] ?? "not set"}`
    );
  if (changed.length) {
    throw new UserError(
      phrase`checkpoint ${path} belongs to a different run: ${joinPhrases(changed, "; ")}`,
      phrase`resume with the options it was written with, or start over in another
        ${option("output")}; to train its weights in another way, start from its model (in
        pre-training ${option("from")}, in fine-tuning ${option("model")})`,
    );
  }
}

/** What a resume changes of the options that it may change; undefined if nothing. */
export function changedRates(saved: RunIdentity, now: RunIdentity): Phrase | undefined {
  const before: Record<string, unknown> = { ...saved.rates, ...stepOf(saved) };
  const after: Record<string, unknown> = { ...now.rates, ...stepOf(now) };
  const changed = Object.keys(after)
    // Version 1 checkpoints have no rates.
    .filter((name) => before[name] !== undefined && before[name] !== after[name])
    .map((name) => phrase`${option(name)} was ${`${before[name]}`}, is ${`${after[name]}`}`);
  return changed.length
    ? phrase`the run is resumed with other options: ${joinPhrases(changed, "; ")}`
    : undefined;
}

function stepOf({ shape, layerwise }: RunIdentity) {
  const { batchSize, activationQuant = false, optimizer } = shape;
  const { gradientAccumulation, accumulatorQuant = false } = optimizer;
  return { batchSize, gradientAccumulation, activationQuant, accumulatorQuant, layerwise };
}

/**
 * Every scalar and list by its path, as JSON. Chosen ranks are compared only if both runs have them;
 * of an embedding in host memory the format, which is all that matters to what is computed.
 */
export function identity(
  { config, shape, rates, objective }: RunIdentity,
  other: RunIdentity,
): Record<string, string> {
  const { optimizer } = shape, { projection, rules } = optimizer;
  const { ranks, rank } = projection ?? {};
  const embeddings = embeddingOptimizerOf(rules.embeddings) ?? rules.embeddings;
  const compared = projection && {
    ...projection,
    rank: ranks ? "auto" : rank,
    ranks: other.shape.optimizer.projection?.ranks && ranks,
  };
  return leavesOf({
    config,
    shape: {
      ...shape,
      lora: shape.lora && comparable(shape.lora),
      offloadedEmbedding: shape.offloadedEmbedding ?? shape.embeddings,
      optimizer: { ...optimizer, projection: compared, rules: { ...rules, embeddings } },
    },
    seed: rates.seed,
    // The correction of the moments' bias depends on when they last began anew.
    momentumReset: rates.momentumReset ?? 0,
    jaggedRestartSteps: rates.jaggedRestartSteps,
    jaggedRestartWarmupSteps: rates.jaggedRestartWarmupSteps,
    objective,
  });
}

/** Every scalar and list by its path, as JSON. */
export function leavesOf(value: unknown, path = ""): Record<string, string> {
  if (value === undefined) return {};
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    return { [path]: JSON.stringify(value) };
  }
  return Object.assign(
    {},
    ...Object.entries(value).map(([key, each]) => leavesOf(each, path ? `${path}.${key}` : key)),
  );
}

/**
 * Adapters of a run that continues a saved one: earlier versions had rsLoRA's √r in the alpha of each
 * module. Factors without a matrix have the rank of another option, and no alpha.
 */
function comparable<Lora extends LoraShape>(lora: Lora): LoraShape | Record<string, unknown> {
  if (lora.alone && "rank" in lora) {
    return { ...lora, rank: undefined, alpha: undefined, factors: lora.rank };
  }
  if (!("modules" in lora) || !lora.rankStabilised) return lora;
  const { rankStabilised: _, ...rest } = lora;
  const modules = Object.entries(lora.modules).map(([module, size]) => [
    module,
    { ...size, alpha: size.alpha * Math.sqrt(size.rank) },
  ]);
  return { ...rest, modules: Object.fromEntries(modules) };
}

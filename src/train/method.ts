/** From the options of a run to the specification of its model and optimizer. */
import { option, phrase } from "../options/phrase.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { OptionsError } from "../options/faults.ts";
import { UserError } from "../options/user_error.ts";
import type { LlamaConfig } from "../model/config.ts";
import { LORA_TARGETS, PROJECTIONS } from "../model/description.ts";
import { loraOf, variantOf } from "../model/lora_shape.ts";
import type { OffloadedType, WeightType } from "../model/parameters.ts";
import { longestSequence } from "../model/rope_scaling.ts";
import { effectiveRank, type RulesByKind } from "../optim/optimizer_shape.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import { sharesOf } from "../optim/shares.ts";
import { readBaseConfig, readModelConfig } from "../formats/pretrained_model.ts";
import type { TrainingShape } from "./build.ts";
import { loraSizes } from "./fields.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import { chosenEmbeddingRule, trainsAdapters, trainsFactors } from "./method_fields.ts";
import { type Method, methodOf, resultOfMethod } from "./methods.ts";
import type { MemoryOptions } from "./memory_options.ts";
import type { PretrainOptions } from "./options.ts";
import { presetOf, rankOf } from "./presets.ts";

/** The configuration of a preset, a config.json, or a model in any form; reads no weights. */
export async function resolveConfig(model: string): Promise<LlamaConfig> {
  return presetOf(model) ?? await readModelConfig(model);
}

/** The configuration that a run of these options has at least; for its size and speed. */
export async function plannedConfig(
  { model, from, finetune, vocabSize }: Pick<
    MemoryOptions,
    "model" | "from" | "finetune" | "vocabSize"
  >,
): Promise<LlamaConfig> {
  if (from !== undefined) return await readBaseConfig(from);
  const preset = presetOf(model);
  if (preset) return { ...preset, vocabSize: vocabSize ?? preset.vocabSize };
  return finetune ? await readBaseConfig(model!) : await readModelConfig(model!);
}

/** The part of a tokenizer that a configuration depends on. */
export type Vocabulary = Pick<Tokenizer, "vocabSize" | "bosTokenId" | "eosTokenId">;

/** What a configuration is fitted to. */
interface Sized {
  readonly model: string;
  readonly seqLen: number;
  readonly tokenizer: string;
  /** Rows of a preset's embedding and head; by default as many as the tokenizer has ids. */
  readonly vocabSize?: number;
}

export async function resolveRunConfig(
  options: Sized,
  tokenizer: Vocabulary,
): Promise<LlamaConfig> {
  return runConfig(await resolveConfig(options.model), options, tokenizer);
}

/**
 * The configuration of a run: the model's, with the tokenizer's special ids. A preset is only a
 * recipe: it has the tokenizer's vocabulary, unless told otherwise, and its positions grow to what
 * the run needs. A config.json is used as it is.
 */
export function runConfig(
  config: LlamaConfig,
  fit: Sized,
  tokenizer: Vocabulary,
): LlamaConfig {
  const { model, seqLen, tokenizer: spec, vocabSize = tokenizer.vocabSize } = fit;
  const ids = {
    bosTokenId: tokenizer.bosTokenId ?? undefined,
    eosTokenId: tokenizer.eosTokenId ?? undefined,
  };
  if (presetOf(model)) {
    if (tokenizer.vocabSize > vocabSize) {
      throw new UserError(
        phrase`${option("vocabSize", vocabSize)} is too few: ${option("tokenizer", spec)} has
          ${tokenizer.vocabSize} ids`,
        phrase`leave ${option("vocabSize")} out to have a row for each`,
      );
    }
    return {
      ...config,
      ...ids,
      vocabSize,
      maxPositions: Math.max(config.maxPositions, seqLen),
    };
  }
  if (tokenizer.vocabSize > config.vocabSize) {
    throw new UserError(
      `tokenizer ${spec} has ${tokenizer.vocabSize} ids, ${model} a vocab_size of ` +
        `${config.vocabSize}`,
      `set vocab_size to at least ${tokenizer.vocabSize}`,
    );
  }
  const longest = longestSequence(config);
  if (seqLen > longest) {
    throw new UserError(
      phrase`${option("seqLen", seqLen)} exceeds the ${longest} positions of ${model}`,
      "raise its max_position_embeddings",
    );
  }
  return { ...ids, ...config };
}

/** The sizes of a run, as its method determines them. */
export function trainingShape(
  options: MemoryOptions | PretrainOptions | FinetuneOptions,
  config: LlamaConfig,
): TrainingShape {
  const { dtype, gradientAccumulation } = options, method = methodOf(options.optimizer);
  return {
    batchSize: options.batchSize,
    seqLen: options.seqLen,
    dtype,
    activationCheckpointing: options.activationCheckpointing,
    activationQuant: options.activationQuant || undefined,
    weights: weightType(method, options),
    weightGroupSize: options.weightGroupSize,
    embeddings: options.embedding4bit ? "nf4" : options.embeddingQuant ? "int8" : dtype,
    offloadedEmbedding: offloadedEmbedding(options, config),
    ...trainedPart(options, config),
    samplePositions: samplePositions(options, config),
    optimizer: {
      rules: {
        ...method.rules,
        ...(options.adam4bit && { matrices: "adam4bit", others: "adam4bit" }),
        ...embeddingRules(options, method),
      },
      projection: method.projection && {
        rank: rankOf(options, config),
        quantised: options.projQuant,
        groupSize: options.projGroupSize,
        fira: options.fira || undefined,
      },
      rank: method.apollo && rankOf(options, config, method),
      gradientAccumulation: gradientAccumulation * ranksOf(options),
      accumulatorQuant: options.accumulatorQuant || undefined,
      exchange: !options.layerwise || ranksOf(options) > 1 || undefined,
      shares: "ranks" in options ? sharesOf(options, { count: options.ranks }) : undefined,
      clips: options.maxGradNorm > 0 || undefined,
      stableSpam: options.stableSpam || undefined,
      restarts: method.restarts,
    },
  };
}

/** The rules of embedding and head: one for both, if it was asked for. */
function embeddingRules(
  options: Parameters<typeof chosenEmbeddingRule>[0],
  { rules: { embeddings, head } }: Method,
): Pick<RulesByKind, "embeddings" | "head"> {
  const chosen = chosenEmbeddingRule(options);
  return chosen ? { embeddings: chosen, head: undefined } : { embeddings, head };
}

/**
 * The format of an embedding in host memory, if it is to be there: not in 4 bits, because host memory
 * is what there is. Throws an {@link OptionsError} if the embedding is the head as well.
 */
function offloadedEmbedding(
  { offloadEmbedding, embeddingQuant, embedding4bit, weightQuant, dtype }: Pick<
    MemoryOptions,
    "offloadEmbedding" | "embeddingQuant" | "embedding4bit" | "weightQuant" | "dtype"
  >,
  { tieWordEmbeddings }: LlamaConfig,
): OffloadedType | undefined {
  if (!offloadEmbedding) return undefined;
  if (tieWordEmbeddings) {
    const message = phrase`this model's embedding is its head as well, which the device needs: ${
      option("embedding4bit", true)
    } makes it smaller`;
    throw new OptionsError([{ option: "offloadEmbedding", message }]);
  }
  return embeddingQuant || (embedding4bit && weightQuant) ? "int8" : dtype;
}

/** Quantised if the method is, unless switched off; otherwise in the format of activations. */
function weightType(
  { weights }: Method,
  { weightQuant, dtype }: Pick<MemoryOptions, "weightQuant" | "dtype">,
): WeightType {
  if (weights === "nf4") return weights;
  return weightQuant ? "int8" : dtype;
}

/** The hyperparameters of a run's steps. */
export function optimizerRates(options: PretrainOptions | FinetuneOptions): OptimizerRates {
  const { beta1, beta2, adamEps, weightDecay, maxGradNorm, stochasticRound, seed } = options;
  const { galoreScale, apolloScale } = options;
  const { momentumReset, updateProjGap, queueSize, cosThreshold, gammaProj } = options;
  const { loraplusLrRatio, loraplusLrEmbedding } = options;
  const { jaggedRestartSteps, jaggedRestartWarmupSteps } = options;
  return {
    beta1,
    beta2,
    adamEps,
    weightDecay,
    maxGradNorm,
    momentumReset,
    galoreScale,
    apolloScale,
    stochasticRound,
    seed,
    updateProjGap,
    queueSize,
    cosThreshold,
    gammaProj,
    loraplusLrRatio,
    loraplusLrEmbedding,
    jaggedRestartSteps,
    jaggedRestartWarmupSteps,
    neftuneNoiseAlpha: "neftuneNoiseAlpha" in options ? options.neftuneNoiseAlpha : undefined,
  };
}

/** Processes of a run that is planned; a run adds what they need once it knows them (team.ts). */
function ranksOf(options: MemoryOptions | PretrainOptions | FinetuneOptions): number {
  return "ranks" in options ? options.ranks : 1;
}

/** Room for a prompt as long as a training sequence, and for its continuation. */
function samplePositions(
  options: MemoryOptions | PretrainOptions | FinetuneOptions,
  config: LlamaConfig,
): number | undefined {
  if (!("samplePrompt" in options && options.samplePrompt)) return undefined;
  return Math.min(longestSequence(config), options.seqLen + options.sampleTokens);
}

/** Which parameters a run trains: in pre-training all of them, or adapters, or these and the rest. */
function trainedPart(
  options: MemoryOptions | PretrainOptions | FinetuneOptions,
  config: LlamaConfig,
): Pick<TrainingShape, "trained" | "lora"> {
  const finetuning = "finetune" in options ? options.finetune : "template" in options;
  const method = methodOf(options.optimizer);
  if (trainsFactors(method)) {
    const rank = rankOf(options, config), alone = { merged: true, alone: true };
    const lora = { rank, alpha: 1, targets: PROJECTIONS, ...alone, dropout: 0 };
    return { trained: "all_but_adapted", lora };
  }
  if (trainsAdapters(method)) {
    const isRandom = !finetuning && !("from" in options && options.from !== undefined);
    const { loraDropout: dropout, loraTarget } = options;
    const { loraRank = rankOf({}, config) } = options;
    const { loraRank: rank, loraAlpha: alpha } = loraSizes({ ...options, loraRank });
    const variant = {
      ...variantOf({ rankStabilised: options.useRslora, dora: options.useDora }),
      ...(resultOfMethod(method, { isRandom }) === "model" && { merged: true }),
    };
    const all = loraTarget.includes("all");
    const targets = LORA_TARGETS.filter((name) =>
      loraTarget.includes(name) || all && PROJECTIONS.some((projection) => projection === name)
    );
    const trained = isRandom
      ? "all_but_adapted"
      : options.trainEmbeddings
      ? "adapters_and_embeddings"
      : "adapters";
    return { trained, lora: { rank, alpha, ...variant, targets, dropout } };
  }
  const whole = !finetuning || ("trainEmbeddings" in options && options.trainEmbeddings);
  return { trained: whole ? "all" : "body" };
}

/** Warnings to show before the run starts. */
export function shapeWarnings(config: LlamaConfig, shape: TrainingShape): string[] {
  const { lora } = shape, merged = lora?.merged && !("modules" in lora) ? lora.rank : undefined;
  const { projection, rank = projection?.rank ?? merged } = shape.optimizer;
  if (rank === undefined) return [];
  const C = config.hiddenSize, keys = config.keyValueHeads * config.headSize;
  const clamped = (what: string, allowed: number) =>
    `rank ${rank} is larger than ${what} allows: using ${allowed} there`;
  if (rank > C) return [clamped("every projection", effectiveRank([keys, C], rank))];
  const narrow = !lora?.merged || loraOf(lora, "k_proj") || loraOf(lora, "v_proj");
  if (rank > keys && narrow) {
    return [clamped("a key or value projection", effectiveRank([keys, C], rank))];
  }
  return [];
}

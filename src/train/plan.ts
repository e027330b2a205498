/** The memory plan: what a run will allocate, to the byte, before it allocates anything. */
import { PlanAllocator } from "../gpu/allocator.ts";
import { OutOfMemoryError } from "../gpu/errors.ts";
import type { Purpose } from "../gpu/tensor.ts";
import { createSequenceBuffers } from "../inference/cached_sequence.ts";
import { type Capabilities, CONSUMER_CARD } from "../gpu/capabilities.ts";
import type { LlamaConfig } from "../model/config.ts";
import { parameterCount } from "../model/description.ts";
import { joinPhrases, option, type Phrase, phrase, settings } from "../options/phrase.ts";
import { formatBytes } from "../text.ts";
import { buildTraining, type TrainingShape } from "./build.ts";
import { METHODS } from "./methods.ts";
import type { Objective } from "./objective.ts";

/** The GPU memory that a run will allocate. */
export interface MemoryPlan {
  /** Peak GPU memory of the run, in bytes. */
  readonly plannedPeakBytes: number;
  /** Bytes at the peak, by purpose. */
  readonly byPurpose: Readonly<Record<Purpose, number>>;
  /** The largest buffer: an adapter's `maxBufferSize` must allow it. */
  readonly largest: { readonly name: string; readonly bytes: number };
}

/** Plans a training run by running its allocating code with an allocator that only counts. */
export function planMemory(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities = CONSUMER_CARD,
  objective?: Objective,
): MemoryPlan {
  const allocator = new PlanAllocator();
  const { model: { parameters } } = buildTraining(
    allocator,
    config,
    shape,
    capabilities,
    objective,
  );
  const { dtype, samplePositions: positions } = shape;
  if (positions) {
    createSequenceBuffers(allocator, { config, parameters, dtype }, { positions, capabilities });
  }
  const { account, tensors } = allocator;
  return {
    plannedPeakBytes: account.peak,
    byPurpose: account.byPurpose,
    largest: tensors.reduce((a, b) => (b.bytes > a.bytes ? b : a)),
  };
}

/** AdamW on every parameter in mixed precision: weights, gradients and two float32 moments. */
export function fullAdamWShape(shape: TrainingShape): TrainingShape {
  return {
    ...shape,
    weights: shape.dtype,
    embeddings: shape.dtype,
    trained: "all",
    lora: undefined,
    optimizer: { ...shape.optimizer, rules: METHODS.adamw.rules, projection: undefined },
  };
}

/** Options that would make a run fit, and its peak with them. */
export interface Alternative {
  /** Values to use instead of the current ones. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Peak GPU memory with them. */
  readonly bytes: number;
}

/** A run that needs more GPU memory than is available. */
export class DoesNotFitError extends OutOfMemoryError {
  /** As it appears in a stack trace. */
  override readonly name = "DoesNotFitError";

  /** `alternatives`: what would fit, nearest first. */
  constructor(message: string, readonly alternatives: readonly Alternative[]) {
    super(message, describeAlternatives(alternatives));
  }
}

/** Describes what would fit, each with its bytes, or what else to try. */
export function describeAlternatives(alternatives: readonly Alternative[]): Phrase {
  if (!alternatives.length) {
    return phrase`no smaller batch or rank fits: choose a smaller model or a shorter
      ${option("seqLen")}`;
  }
  const described = alternatives.map(({ options, bytes }) =>
    phrase`${settings(options)} (${formatBytes(bytes, 4)})`
  );
  return phrase`these settings fit: ${joinPhrases(described, "; ")}`;
}

/** Settings that need less memory, nearest first. */
export function smallerAlternatives(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities,
  limit: number,
  objective?: Objective,
): Alternative[] {
  const candidates: { options: Alternative["options"]; shape: TrainingShape }[] = [];
  let last = { options: {}, shape };
  const add = (options: Alternative["options"], change: Partial<TrainingShape>) => {
    last = { options: { ...last.options, ...options }, shape: { ...last.shape, ...change } };
    candidates.push(last);
  };
  if (!shape.activationCheckpointing) {
    add({ activationCheckpointing: true }, { activationCheckpointing: true });
  }
  const { rules, projection } = shape.optimizer;
  if (shape.trained === "all" && rules.embeddings !== rules.others) {
    const optimizer = { ...last.shape.optimizer, rules: { ...rules, embeddings: rules.others } };
    add({ embeddingAdam8bit: true }, { optimizer });
  }
  for (let batchSize = shape.batchSize >> 1; batchSize >= 1; batchSize >>= 1) {
    add({ batchSize }, { batchSize });
  }
  for (let rank = (projection?.rank ?? 0) >> 1; projection && rank >= 8; rank >>= 1) {
    const optimizer = {
      ...last.shape.optimizer,
      projection: { ...projection, rank, ranks: undefined },
    };
    add({ rank }, { optimizer });
  }
  const fitting: Alternative[] = [];
  for (const { options, shape } of candidates) {
    const bytes = planMemory(config, shape, capabilities, objective).plannedPeakBytes;
    if (bytes <= limit) fitting.push({ options, bytes });
    if (fitting.length === 3) break;
  }
  return fitting;
}

/** Refuses a run that cannot fit, before its first allocation, and suggests what would. */
export function assertFits(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities,
  limit: number,
  objective?: Objective,
): MemoryPlan {
  const plan = planMemory(config, shape, capabilities, objective);
  const { maxBufferSize } = capabilities.limits;
  if (plan.largest.bytes > maxBufferSize) {
    throw new OutOfMemoryError(
      `tensor ${plan.largest.name} needs one buffer of ${formatBytes(plan.largest.bytes, 4)}, ` +
        `this adapter allows ${formatBytes(maxBufferSize, 4)}`,
      phrase`lower ${option("batchSize")} or ${option("seqLen")}, or choose a smaller model`,
    );
  }
  if (plan.plannedPeakBytes > limit) {
    throw new DoesNotFitError(
      `this run needs ${formatBytes(plan.plannedPeakBytes, 4)} of GPU memory, ` +
        `${formatBytes(limit, 4)} available (${parameterCount(config)} parameters)`,
      smallerAlternatives(config, shape, capabilities, limit, objective),
    );
  }
  return plan;
}

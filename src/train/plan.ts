/** The memory plan: what a run will allocate, to the byte, before it allocates anything. */
import { PlanAllocator } from "../gpu/allocator.ts";
import { OutOfMemoryError } from "../gpu/errors.ts";
import type { Purpose } from "../gpu/tensor.ts";
import { createSequenceBuffers } from "../inference/cached_sequence.ts";
import { type Capabilities, CONSUMER_CARD } from "../gpu/capabilities.ts";
import type { LlamaConfig } from "../model/config.ts";
import { parameterCount } from "../model/description.ts";
import { buildTraining, type TrainingShape } from "./build.ts";
import { METHODS } from "./methods.ts";

export interface MemoryPlan {
  /** Bytes of GPU memory at the peak of the run. */
  readonly plannedPeakBytes: number;
  readonly byPurpose: Readonly<Record<Purpose, number>>;
  /** The largest buffer: an adapter's `maxBufferSize` must allow it. */
  readonly largest: { readonly name: string; readonly bytes: number };
}

/** Plans a training run by running the allocating code against counters. */
export function planMemory(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities = CONSUMER_CARD,
): MemoryPlan {
  const allocator = new PlanAllocator();
  const { model: { parameters } } = buildTraining(allocator, config, shape, capabilities);
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

/** Settings that need less memory, nearest first, each with what it would need. */
export function smallerAlternatives(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities,
  limit: number,
): { readonly change: string; readonly bytes: number }[] {
  const candidates: { change: string; shape: TrainingShape }[] = [];
  let current = shape;
  const names: string[] = [];
  const add = (change: string, next: TrainingShape) => {
    current = next;
    names.push(change);
    candidates.push({ change: names.join(" "), shape: current });
  };
  if (!shape.activationCheckpointing) {
    add("--activation-checkpointing", { ...current, activationCheckpointing: true });
  }
  const { rules, projection } = shape.optimizer;
  if (shape.trained === "all" && rules.embeddings !== rules.others) {
    const optimizer = { ...current.optimizer, rules: { ...rules, embeddings: rules.others } };
    add("--embedding-adam8bit", { ...current, optimizer });
  }
  for (let batch = shape.batchSize >> 1; batch >= 1; batch >>= 1) {
    names.splice(0, names.length, ...names.filter((name) => !name.startsWith("--batch-size")));
    add(`--batch-size ${batch}`, { ...current, batchSize: batch });
  }
  for (let rank = (projection?.rank ?? 0) >> 1; projection && rank >= 8; rank >>= 1) {
    names.splice(0, names.length, ...names.filter((name) => !name.startsWith("--rank")));
    add(`--rank ${rank}`, {
      ...current,
      optimizer: {
        ...current.optimizer,
        projection: { ...projection, rank, ranks: undefined },
      },
    });
  }
  const fitting = [];
  for (const { change, shape } of candidates) {
    const bytes = planMemory(config, shape, capabilities).plannedPeakBytes;
    if (bytes <= limit) fitting.push({ change, bytes });
    if (fitting.length === 3) break;
  }
  return fitting;
}

/** Refuses a run that cannot fit, before its first allocation, and says what would. */
export function assertFits(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities,
  limit: number,
): MemoryPlan {
  const plan = planMemory(config, shape, capabilities);
  const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  const { maxBufferSize } = capabilities.limits;
  if (plan.largest.bytes > maxBufferSize) {
    throw new OutOfMemoryError(
      `tensor ${plan.largest.name} needs one buffer of ${gigabytes(plan.largest.bytes)}, ` +
        `this adapter allows ${gigabytes(maxBufferSize)}`,
    );
  }
  if (plan.plannedPeakBytes > limit) {
    const fitting = smallerAlternatives(config, shape, capabilities, limit)
      .map(({ change, bytes }) => `${change} (${gigabytes(bytes)})`);
    throw new OutOfMemoryError(
      `this run needs ${gigabytes(plan.plannedPeakBytes)} of GPU memory, ` +
        `${gigabytes(limit)} are there (${parameterCount(config)} parameters)`,
      fitting.length
        ? `what would fit: ${fitting.join("; ")}`
        : "no smaller batch or rank would fit: choose a smaller model or a shorter --seq-len",
    );
  }
  return plan;
}

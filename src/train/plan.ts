/** The memory plan: what a run will allocate, to the byte, before it allocates anything. */
import { PlanAllocator } from "../gpu/allocator.ts";
import { driverBytes, driverMemoryOf, largestFirst } from "../gpu/driver_memory.ts";
import type { Purpose } from "../gpu/tensor.ts";
import { createSequenceBuffers } from "../inference/sequence_buffers.ts";
import { type Capabilities, CONSUMER_CARD } from "../gpu/capabilities.ts";
import type { LlamaConfig } from "../model/config.ts";
import { buildTraining, type TrainingShape } from "./build.ts";
import { METHODS } from "./methods.ts";
import type { Objective } from "./objective.ts";

/** The GPU memory that a run will allocate. */
export interface MemoryPlan {
  /** Peak GPU memory of the run, in bytes. */
  readonly plannedPeakBytes: number;
  /** What the driver is asked for by it, which takes memory in blocks: see gpu/driver_memory.ts. */
  readonly allocatedBytes: number;
  /** Bytes at the peak, by purpose. */
  readonly byPurpose: Readonly<Record<Purpose, number>>;
  /** The largest buffer: an adapter's `maxBufferSize` must allow it. */
  readonly largest: { readonly name: string; readonly bytes: number };
  /** Which of the processes that share states it is of. */
  readonly own?: number;
}

/**
 * Plans a training run by running its allocating code with an allocator that only counts: of processes
 * that share states the one that needs the most, unless the shape names one.
 */
export function planMemory(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities = CONSUMER_CARD,
  objective?: Objective,
): MemoryPlan {
  const { shares } = shape.optimizer;
  if (shares && shares.own === undefined) {
    // States alone are dealt out with the most to the first; beside weights that are, by what is left.
    const plans = Array.from(
      { length: shares.weights ? shares.count : 1 },
      (_, own) => planMemory(config, shapeOfProcess(shape, own), capabilities, objective),
    );
    return plans.reduce((a, b) => (b.plannedPeakBytes > a.plannedPeakBytes ? b : a));
  }
  const allocator = new PlanAllocator();
  const { model: { parameters } } = buildTraining(
    allocator,
    config,
    shape,
    capabilities,
    objective,
  );
  const built = largestFirst(allocator.tensors);
  const { dtype, samplePositions: positions } = shape;
  if (positions) {
    createSequenceBuffers(allocator, { config, parameters, dtype }, { positions, capabilities });
  }
  const { account, tensors } = allocator;
  return {
    plannedPeakBytes: account.peak,
    allocatedBytes: driverBytes(
      [...built, ...tensors.slice(built.length)].map(({ bytes }) => bytes),
      driverMemoryOf(capabilities),
    ),
    byPurpose: account.byPurpose,
    largest: tensors.reduce((a, b) => (b.bytes > a.bytes ? b : a)),
    own: shares?.own,
  };
}

/** What a process allocates, if several share states: this one. */
export function shapeOfProcess(shape: TrainingShape, own: number | undefined): TrainingShape {
  const { optimizer } = shape, { shares } = optimizer;
  return { ...shape, optimizer: { ...optimizer, shares: shares && { ...shares, own } } };
}

/** AdamW on every parameter in mixed precision: weights, gradients and two float32 moments. */
export function fullAdamWShape(shape: TrainingShape): TrainingShape {
  return {
    ...shape,
    weights: shape.dtype,
    embeddings: shape.dtype,
    offloadedEmbedding: undefined,
    trained: "all",
    lora: undefined,
    optimizer: { ...shape.optimizer, rules: METHODS.adamw.rules, projection: undefined },
  };
}

/** A few steps of a tiny model whose gradients several ranks sum, and what happens in them. */
import type { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { Scope } from "../../src/gpu/scope.ts";
import type { Batch } from "../../src/model/batch.ts";
import { initialize } from "../../src/model/initialize.ts";
import { uploadRope } from "../../src/model/llama.ts";
import type { Ranks, WireFormat } from "../../src/parallel/ranks.ts";
import { buildTraining, type TrainingShape } from "../../src/train/build.ts";
import { bytesPerStep, Exchange } from "../../src/train/exchange.ts";
import { initializeAdapters } from "../../src/train/initialize_adapters.ts";
import { METHODS } from "../../src/train/methods.ts";
import { RecordedStep } from "../../src/train/step.ts";
import { Crc32 } from "../../src/formats/checkpoint/checksum.ts";
import { RATES } from "../optim/support_rates.ts";
import { randomStream } from "../support.ts";
import { TINY } from "../train/support.ts";

const LENGTH = 16;
/** The first refreshes the subspaces. */
export const STEPS = 3;
/** Less than any matrix of {@link TINY} has: each of its own. */
export const LEAST_BYTES = 64;

/** What is trained, by how many batches of a step for each rank, and how they exchange. */
export interface StepsCase {
  readonly method: "adamw" | "galore_adamw" | "lora";
  readonly batches?: number;
  readonly clips?: boolean;
  readonly fira?: boolean;
  readonly shardsStates?: boolean;
  readonly format?: WireFormat;
}

export const CASES: Readonly<Record<string, StepsCase>> = {
  low_rank: { method: "galore_adamw" },
  // Sums by the last batch of two, and clipped by the norm of all. Adapters lie in one buffer.
  clipped: { method: "lora", batches: 2, clips: true },
  // Each gradient to its keeper alone.
  keepers: { method: "galore_adamw", batches: 2, shardsStates: true },
  halves: { method: "adamw", format: "bfloat16" },
};

/** Who trains it. */
export interface Trainers {
  /** How many ranks, or batches of one process by itself, for each that a rank takes. */
  readonly size: number;
  readonly ranks?: Ranks;
  /** Of a step's gradients that are complete before their sums begin. */
  readonly leastBytes?: number;
}

export interface Trained {
  /** The checksum of the weights, and of the last loss. */
  readonly checksum: string;
  /** Bytes that this rank has sent, and that a plan says, without those of refreshes. */
  readonly sent: number;
  readonly planned: number;
}

function batchOf(seed: number): Batch {
  const next = randomStream(seed), tokens = 2 * LENGTH;
  const draw = () => Math.floor(next() * TINY.vocabSize);
  const targets = Int32Array.from({ length: tokens }, draw);
  return { inputs: Uint32Array.from({ length: tokens }, draw), targets, tokens };
}

function shapeOf(
  { method, clips, fira, batches = 1, shardsStates }: StepsCase,
  { size, ranks }: Trainers,
): TrainingShape {
  const adapters = method === "lora";
  return {
    batchSize: 2,
    seqLen: LENGTH,
    dtype: "float32",
    activationCheckpointing: false,
    weights: "float32",
    embeddings: "float32",
    trained: adapters ? "adapters" : "all",
    lora: adapters
      ? { rank: 4, alpha: 8, targets: ["q_proj", "v_proj", "down_proj"], dropout: 0 }
      : undefined,
    weightGroupSize: 256,
    optimizer: {
      rules: METHODS[method].rules,
      projection: method === "galore_adamw"
        ? { rank: 8, quantised: false, groupSize: 256, fira }
        : undefined,
      gradientAccumulation: size * batches,
      clips,
      exchange: ranks !== undefined,
      shares: ranks && shardsStates ? { count: size, own: ranks.rank } : undefined,
    },
  };
}

/**
 * Some steps of the ranks, or of one process that takes all their batches. `log` receives `work` when the
 * card is given some, and `place` where it waits.
 */
export async function trainSteps(
  gpu: Gpu,
  given: StepsCase,
  trainers: Trainers,
  log: (event: string, step: number) => void = () => {},
): Promise<Trained> {
  const { size, ranks, leastBytes } = trainers, { clips, batches = 1, format } = given;
  using stack = new DisposableStack();
  const scope = new Scope(gpu);
  stack.defer(() => scope.release());
  const training = buildTraining(scope, TINY, shapeOf(given, trainers), gpu.capabilities);
  const { model, optimizer } = training, { parameters } = model;
  uploadRope(gpu, model);
  const pass = new KernelPass(gpu);
  initialize(gpu, pass, TINY, parameters, { seed: 3, scratch: optimizer.scratch.gradient });
  pass.submit();
  initializeAdapters(gpu, model, 3);
  const exchange = ranks && new Exchange(gpu, training, ranks, format ?? "float32", leastBytes);
  const before = ranks?.sentBytes ?? 0;
  let now = 0;
  const { inTurn } = gpu;
  stack.defer(() => void (gpu.inTurn = inTurn));
  gpu.inTurn = function* (held, piece) {
    for (const work of inTurn.call(gpu, held, piece)) {
      if (work.wait) log("place", now);
      yield work;
      if (!work.wait) log("work", now);
    }
  };
  for (let step = now = 1; step <= STEPS; now = ++step) {
    const own = Array.from({ length: size * batches }, (_, index) => batchOf(10 * step + index));
    const rates = { ...RATES, maxGradNorm: clips ? 0.1 : 0 };
    await new RecordedStep(gpu, training, own, {
      ...{ step, lr: 0.01, rates, lossIndex: 0, ranks, exchange },
    }).give();
    if (optimizer.refreshes.now) {
      const similarities = await gpu.read(optimizer.scratch.similarities);
      optimizer.refreshes.record(new Float32Array(similarities.buffer));
    }
  }
  const sent = (ranks?.sentBytes ?? 0) - before, sum = new Crc32();
  for (const { weight } of parameters.all) sum.update(await gpu.read(weight));
  sum.update(await gpu.read(training.losses, 0, 4));
  const planned = ranks ? STEPS * bytesPerStep(training, size, ranks.rank, format) : 0;
  return { checksum: sum.digest(), sent, planned };
}

/**
 * Tries a plan: allocates what a run would, in the same code, and takes steps through one layer of the
 * model inside it, with embedding and head.
 *
 * @module
 */
import type { Capabilities } from "../gpu/capabilities.ts";
import { compileKernels } from "../gpu/compile_kernels.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { Scope } from "../gpu/scope.ts";
import type { LlamaConfig } from "../model/config.ts";
import { parametersOf } from "../model/parameters.ts";
import { allocateTraining, type Training, type TrainingShape } from "./build.ts";
import { kernelsOf } from "./compile.ts";
import { assertFits, failedAllocation } from "./does_not_fit.ts";
import { gpuMemoryLimit } from "./gpu_memory.ts";
import { type MemoryInput, memoryOptions } from "./memory_options.ts";
import { trainingShape } from "./method.ts";
import type { MemoryPlan } from "./plan.ts";
import { RecordedStep } from "./step.ts";
import { StepWatch } from "./step_watch.ts";
import { prepare, someBatch, usualRates } from "./untrained.ts";

/** Whoever waits that long for one step knows enough. */
const SLOW_SECONDS = 60;

/** What a plan took when it was tried. */
export interface TriedMemory {
  /** As planned. */
  readonly plan: MemoryPlan;
  /** GPU memory that was allocated at most, in bytes: what was planned. */
  readonly gpuPeakBytes: number;
  /**
   * Bytes of this process that lie in memory, once all is in use: with a software adapter the GPU's are
   * among them.
   */
  readonly processBytes: number;
  /** What took how long. */
  readonly seconds: TriedSeconds;
}

/** What took how long. */
export interface TriedSeconds {
  /** Allocating, and writing to every byte. */
  readonly allocating: number;
  /** Compiling the kernels that are not in the driver's cache. */
  readonly compiling: number;
  /** A step through one layer that refreshes its subspaces, where the method has any. */
  readonly refreshingStep?: number;
  /**
   * A step through one layer, with embedding and head; left out where that with refreshes took a
   * minute.
   */
  readonly step?: number;
}

/** How a trial is watched and ended. */
export interface Trying {
  /** Called as something begins, and with its share where it takes long. */
  readonly onProgress?: (what: string, share?: number) => void;
  /** Ends it: the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Takes the options of `memory`. Throws a {@link DoesNotFitError} with what would fit, if the driver
 * refuses memory or the processor has too little of it.
 *
 * @example
 * ```ts
 * import { Gpu, PRESETS, tryMemory } from "@deno-galore/trainer";
 *
 * using gpu = await Gpu.open();
 * const { gpuPeakBytes, seconds } = await tryMemory(gpu, PRESETS.llama_60m, { model: "llama_60m" });
 * console.log(gpuPeakBytes, seconds.step);
 * ```
 */
export async function tryMemory(
  gpu: Gpu,
  config: LlamaConfig,
  given: MemoryInput,
  { onProgress = () => {}, signal = new AbortController().signal }: Trying = {},
): Promise<TriedMemory> {
  const options = memoryOptions.parse<MemoryInput>(given), { capabilities } = gpu;
  const run = { config, options, shape: fewMicroBatches(trainingShape(options, config)) };
  const plan = assertFits(run, capabilities, gpuMemoryLimit(gpu, undefined));
  using memory = gpu.account.watch();
  using scope = new Scope(gpu);
  const seconds = stopwatch();
  onProgress("allocating");
  const training = await allocateAll(scope, run, capabilities);
  const allocating = seconds();
  signal.throwIfAborted();
  const tried = new OneLayer(gpu, training, run.shape);
  await compileKernels(
    gpu,
    tried.kernels,
    (done, total) => onProgress("compiling kernels", done / total),
    signal,
  );
  await gpu.settled();
  const compiling = seconds();
  const step = async (number: number, what: string) => {
    await tried.step(number, signal, (share) => onProgress(what, share));
    return seconds();
  };
  const refreshingStep = tried.refreshes > 0
    ? await step(1, "a step through one layer, with its refreshes")
    : undefined;
  const isSlow = refreshingStep !== undefined && refreshingStep > SLOW_SECONDS;
  const plain = isSlow ? undefined : await step(2, "a step through one layer");
  return {
    plan,
    gpuPeakBytes: memory.peak,
    processBytes: Deno.memoryUsage().rss,
    seconds: { allocating, compiling, refreshingStep, step: plain },
  };
}

/** With no more micro-batches than it takes for gradients to be accumulated: more need no more memory. */
function fewMicroBatches(shape: TrainingShape): TrainingShape {
  const { optimizer } = shape, gradientAccumulation = Math.min(2, optimizer.gradientAccumulation);
  return { ...shape, optimizer: { ...optimizer, gradientAccumulation } };
}

/** Writes to every byte: a driver may lend what it takes back at the first use. */
async function allocateAll(
  scope: Scope,
  run: Parameters<typeof failedAllocation>[1],
  capabilities: Capabilities,
): Promise<Training> {
  const { gpu } = scope;
  try {
    const training = allocateTraining(scope, run.config, run.shape);
    await gpu.check();
    const pass = new KernelPass(gpu);
    for (const tensor of scope.tensors) pass.clear(tensor);
    pass.submit();
    await gpu.settled();
    return training;
  } catch (error) {
    throw failedAllocation(error, run, capabilities);
  }
}

/** Steps through the first layer alone, by the code of a run. */
class OneLayer {
  readonly #training: Training;
  readonly #batches;
  readonly #rates = usualRates();

  constructor(private readonly gpu: Gpu, training: Training, shape: TrainingShape) {
    const { model } = training, { config, parameters } = model;
    const [first, ...others] = parameters.layers, left = new Set(others.flatMap(parametersOf));
    const all = parameters.all.filter((parameter) => !left.has(parameter));
    this.#training = {
      ...training,
      model: {
        ...model,
        config: { ...config, layers: 1 },
        parameters: { ...parameters, layers: [first], all },
      },
    };
    prepare(gpu, this.#training);
    const batch = someBatch(shape.batchSize * shape.seqLen, config.vocabSize);
    this.#batches = Array.from({ length: shape.optimizer.gradientAccumulation }, () => batch);
  }

  /** Subspaces of the layer. */
  get refreshes(): number {
    const { model: { parameters: { all } }, optimizer } = this.#training;
    return optimizer.states.filter(({ projector, parameter }) =>
      projector && all.includes(parameter)
    ).length;
  }

  get kernels() {
    return kernelsOf(this.gpu, this.#training, this.#batches, this.#rates);
  }

  async step(
    step: number,
    signal: AbortSignal,
    onProgress: (share?: number) => void,
  ): Promise<void> {
    const { gpu } = this, training = this.#training, batches = this.#batches;
    onProgress();
    const refreshes = step === 1 ? this.refreshes : 0;
    const extent = { microBatches: batches.length, refreshes };
    const { watch } = new StepWatch(extent, {}, ({ done, total }) => onProgress(done! / total!));
    const options = { step, lr: 1e-4, rates: this.#rates, lossIndex: 0, paced: true, watch };
    await new RecordedStep(gpu, training, batches, options).give({ signal, mayAbandon: true });
    signal.throwIfAborted();
    await gpu.settled();
  }
}

/** Seconds since it was last asked. */
function stopwatch(): () => number {
  let since = performance.now();
  return () => {
    const now = performance.now(), seconds = (now - since) / 1000;
    since = now;
    return seconds;
  };
}

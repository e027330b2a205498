/** How fast a model trains on this adapter: real steps on random tokens, timed as a run times its own. */
import type { Gpu } from "../gpu/gpu.ts";
import { Scope } from "../gpu/scope.ts";
import type { Batch } from "../model/batch.ts";
import type { LlamaConfig } from "../model/config.ts";
import { parameterCount } from "../model/description.ts";
import { median } from "../numbers/median.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import { allocateTraining, LOSS_RING, type TrainingShape } from "./build.ts";
import { gpuMemoryLimit } from "./gpu_memory.ts";
import { assertFits } from "./does_not_fit.ts";
import type { ProgressEvent } from "./events.ts";
import { RecordedStep } from "./step.ts";
import { StepWatch } from "./step_watch.ts";
import { SubmittedSteps } from "./submitted_steps.ts";
import { prepare, someBatch, usualRates } from "./untrained.ts";

/** The speed of a training run. */
export interface TrainingSpeed {
  /** Tells its lines of JSON apart. */
  readonly name: "training";
  /** Of the model. */
  readonly parameters: number;
  /** Tokens of an optimizer step, all its micro-batches. */
  readonly tokens_per_step: number;
  /** Of steps that refresh no subspace. */
  readonly tokens_per_second: number;
  /** Milliseconds of such a step. */
  readonly step_ms: number;
  /** Milliseconds that a step takes longer if it refreshes every subspace; 0 without projections. */
  readonly refresh_ms: number;
  /** Steps after which a subspace is refreshed at the earliest. */
  readonly refresh_interval?: number;
  /** Milliseconds of the first step, which compiles the kernels and finds the first subspaces. */
  readonly first_step_ms: number;
  /** GPU memory as planned, in bytes. */
  readonly planned_peak_bytes: number;
  /** GPU memory that was allocated at most, in bytes. */
  readonly gpu_peak_bytes: number;
}

/** What to measure. */
export interface MeasuredRun {
  /** The model's shape. */
  readonly config: LlamaConfig;
  /** Sizes of the run. */
  readonly shape: TrainingShape;
  /** Those that the shape is of, as given: `memory` knows them. */
  readonly options: object;
  /** Micro-batches per optimizer step. */
  readonly gradientAccumulation: number;
  /** Of its steps, which clip or add noise if the run's do; by default those of pre-training. */
  readonly rates?: OptimizerRates;
}

/** How far a part of the measurement is. */
export interface MeasureProgress {
  /** What is measured. */
  readonly phase: string;
  /** Of the step in progress, 0 to 1, if it takes long. */
  readonly share?: number;
}

/** How a measurement is made. */
export interface MeasureOptions {
  /** Milliseconds of steps to time; one step at least. */
  readonly milliseconds: number;
  /** Called as it proceeds. */
  readonly onProgress?: (progress: MeasureProgress) => void;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** Steps from here on are submitted layer by layer, so that they can be watched and stopped. */
const SLOW_STEP_MS = 2000;

/**
 * Times a run from random weights; undefined if the signal aborts it. Throws a {@link
 * DoesNotFitError} if the run needs more memory than there is.
 */
export async function measureTraining(
  gpu: Gpu,
  run: MeasuredRun,
  { milliseconds, onProgress = () => {}, signal = new AbortController().signal }: MeasureOptions,
): Promise<TrainingSpeed | undefined> {
  const { config, shape, gradientAccumulation } = run, { capabilities } = gpu;
  const plan = assertFits(run, capabilities, gpuMemoryLimit(gpu, undefined));
  using memory = gpu.account.watch();
  using scope = new Scope(gpu);
  const training = allocateTraining(scope, config, shape);
  await gpu.check();
  prepare(gpu, training);
  const batch = someBatch(shape.batchSize * shape.seqLen, config.vocabSize);
  const batches = Array<Batch>(gradientAccumulation).fill(batch);
  const submitted = new SubmittedSteps(gpu, memory, training, 0);
  let phase = "", stepMs = Infinity;
  // Steps are numbered by an interval that leaves room for those without a refresh.
  const { updateProjGap } = usualRates(), rates = { ...run.rates ?? usualRates(), updateProjGap };
  const begin = (what: string) => onProgress({ phase: phase = what });
  const submit = async (step: number) => {
    const refreshes = training.optimizer.refreshes.at(step);
    const report = ({ done, total }: Partial<ProgressEvent>) =>
      onProgress({ phase, share: done! / total! });
    const extent = { microBatches: batches.length, refreshes };
    const { watch } = new StepWatch(extent, {}, report);
    const slow = stepMs >= SLOW_STEP_MS && { paced: true, watch };
    const options = { step, lr: 1e-4, rates, lossIndex: step % LOSS_RING, ...slow };
    const recorded = new RecordedStep(gpu, training, batches, options);
    const { end } = await recorded.give({ signal, mayAbandon: true });
    if (end !== "submitted") return;
    const { divisor } = recorded;
    submitted.add({ step, lr: options.lr, targets: divisor, divisor });
  };
  const timed = async (step: number) => {
    submitted.restartClock();
    await submit(step);
    // An abort leaves nothing to read.
    return submitted.count ? (await submitted.read())[0].step_ms : NaN;
  };
  /** With and without in turns, so that other load slows both. */
  const refreshTime = async () => {
    begin("timing a refresh of all subspaces");
    const end = performance.now() + milliseconds / 2;
    const plain: number[] = [], refreshed: number[] = [];
    do {
      plain.push(stepMs < SLOW_STEP_MS ? await timed(2) : stepMs);
      refreshed.push(await timed(1 + (refreshed.length + 1) * rates.updateProjGap));
    } while (refreshed.length < 4 && performance.now() < end && !signal.aborted);
    return Math.max(0, median(refreshed)! - median(plain)!);
  };

  const refreshes = training.optimizer.refreshes.projectors.length > 0;
  begin(refreshes ? "compiling the kernels, first subspaces" : "compiling the kernels");
  const first_step_ms = await timed(1);
  begin("timing steps");
  stepMs = await timed(2);
  const start = performance.now(), isSlow = stepMs >= SLOW_STEP_MS;
  // The first few of fast steps take longer.
  let count = isSlow ? 1 : 0, elapsed = isSlow ? stepMs : 0;
  submitted.restartClock();
  while (!signal.aborted && (count < 1 || performance.now() - start < milliseconds)) {
    // None of these numbers is due for a refresh.
    await submit(2 + (count + submitted.count) % (rates.updateProjGap - 1));
    if (!submitted.count || !submitted.mustRead) continue;
    for (const { step_ms } of await submitted.read()) {
      elapsed += step_ms;
      count++;
    }
    submitted.restartClock();
  }
  const step_ms = elapsed / count;
  const refresh_ms = refreshes && !signal.aborted ? await refreshTime() : 0;
  if (signal.aborted) return undefined;
  const tokens_per_step = batch.tokens * gradientAccumulation;
  return {
    name: "training",
    parameters: parameterCount(config),
    tokens_per_step,
    tokens_per_second: 1000 * tokens_per_step / step_ms,
    step_ms,
    refresh_ms,
    ...(refreshes ? { refresh_interval: rates.updateProjGap } : undefined),
    first_step_ms,
    planned_peak_bytes: plan.plannedPeakBytes,
    gpu_peak_bytes: memory.peak,
  };
}

/** Seconds that a number of tokens takes; with every subspace refreshed as often as it may be. */
export function secondsFor(tokens: number, speed: TrainingSpeed): number {
  const { tokens_per_step, step_ms, refresh_ms, refresh_interval = Infinity, first_step_ms } =
    speed;
  const steps = Math.ceil(tokens / tokens_per_step);
  const refreshes = Math.floor((steps - 1) / refresh_interval);
  return (first_step_ms + (steps - 1) * step_ms + refreshes * refresh_ms) / 1000;
}

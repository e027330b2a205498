/** One optimizer step: the micro-batches' forward and backward passes, with fused updates. */
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import type { Profiler } from "../gpu/profiler.ts";
import type { Batch } from "../model/batch.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import { UserError } from "../options/user_error.ts";
import { Pace } from "./pace.ts";
import type { Training } from "./build.ts";

export interface StepOptions {
  /** From 1. */
  readonly step: number;
  readonly lr: number;
  readonly rates: OptimizerRates;
  /** Element of `training.losses` that receives the sum of the losses, in nats. */
  readonly lossIndex: number;
  readonly profiler?: Profiler;
}

/** Submits a whole step without waiting for it. Returns the divisor of its loss sum. */
export function trainStep(
  gpu: Gpu,
  training: Training,
  batches: readonly Batch[],
  options: StepOptions,
): number {
  const divisor = accumulateStep(gpu, training, batches, options);
  if (training.optimizer.shape.exchange) applyStep(gpu, training, options);
  return divisor;
}

/** How a step ended that may be stopped within. */
export type StepEnd =
  /** It was submitted. */
  | { readonly end: "submitted"; readonly divisor: number }
  /** It was stopped before it changed anything, or after it had begun to. */
  | { readonly end: "untouched" | "abandoned" };

/**
 * Submits a step at the GPU's own pace, so that an abort ends it within seconds however long it is:
 * at any point as long as nothing is overwritten, and later only if `mayAbandon`, since a step half
 * of whose updates are made is worth nothing. Otherwise the step is finished.
 */
export async function trainStepAtPace(
  gpu: Gpu,
  training: Training,
  batches: readonly Batch[],
  { signal, mayAbandon, ...options }: StepOptions & {
    readonly signal: AbortSignal;
    readonly mayAbandon: boolean;
  },
): Promise<StepEnd> {
  const { optimizer } = training, pace = new Pace(gpu);
  const { begin, divisor } = openStep(gpu, training, batches, options);
  let touched = false;
  for (const index of batches.keys()) {
    for (const { give, overwrites } of gpu.hold(() => begin(index))) {
      touched ||= overwrites;
      if (signal.aborted && (mayAbandon || !touched)) {
        optimizer.cancelStep();
        return { end: touched ? "abandoned" : "untouched" };
      }
      give();
      await pace.next();
    }
  }
  if (optimizer.shape.exchange) applyStep(gpu, training, options);
  return { end: "submitted", divisor };
}

/**
 * Submits the micro-batches of a step. With `exchange` their gradients stay in
 * `optimizer.accumulated` until {@link applyStep}; otherwise each is applied once complete.
 */
export function accumulateStep(
  gpu: Gpu,
  training: Training,
  batches: readonly Batch[],
  options: StepOptions,
): number {
  const { begin, divisor } = openStep(gpu, training, batches, options);
  for (const index of batches.keys()) begin(index);
  return divisor;
}

/** A step of which `begin` submits a micro-batch, in order. */
function openStep(
  gpu: Gpu,
  training: Training,
  batches: readonly Batch[],
  { step, lr, rates, lossIndex, profiler }: StepOptions,
): { readonly begin: (index: number) => void; readonly divisor: number } {
  const { model, optimizer, losses, objective, submit } = training;
  optimizer.beginStep({ step, lr, rates });
  // One mean over all targets of the step, however they are split into micro-batches.
  const divisor = batches.reduce(
    (sum, batch) => sum + (objective.divisor?.(batch) ?? batch.tokens),
    0,
  );
  if (objective.divisor && !(divisor > 0 && divisor < Infinity)) {
    throw new UserError(
      `step ${step}: the weights of objective ${objective.name} sum to ${divisor} over all targets, ` +
        "so nothing would be learned",
      "weights must be finite, at least 0, and above 0 for some target of each step",
    );
  }
  const gradScale = divisor ? 1 / divisor : 1;
  const pass = new KernelPass(gpu, profiler);
  const begin = (index: number) => {
    optimizer.beginMicroBatch(index);
    if (model.lora) {
      // Each micro-batch gets its own dropout mask.
      model.lora.key = { seed: rates.seed, step: (step - 1) * batches.length + index };
    }
    const loss = { out: losses, index: lossIndex, accumulate: index > 0 };
    submit(pass, training, batches[index], { sink: optimizer, loss, gradScale });
    if (model.lora) model.lora.key = undefined; // no dropout in evaluations
  };
  return { begin, divisor };
}

/** With `exchange`: submits the updates of a step once its gradients have been exchanged. */
export function applyStep(
  gpu: Gpu,
  { optimizer }: Training,
  { profiler }: Pick<StepOptions, "profiler"> = {},
): void {
  const pass = new KernelPass(gpu, profiler);
  optimizer.applyAll(pass);
  pass.submit();
}

/** One optimizer step: the micro-batches' forward and backward passes, with fused updates. */
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import type { Profiler } from "../gpu/profiler.ts";
import type { Batch } from "../model/batch.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import { UserError } from "../options/user_error.ts";
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

/**
 * Submits the micro-batches of a step. With `exchange` their gradients stay in
 * `optimizer.accumulated` until {@link applyStep}; otherwise each is applied once complete.
 */
export function accumulateStep(
  gpu: Gpu,
  training: Training,
  batches: readonly Batch[],
  { step, lr, rates, lossIndex, profiler }: StepOptions,
): number {
  const { model, optimizer, losses, objective, submit } = training;
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
  optimizer.beginStep({ step, lr, rates });
  for (const [index, batch] of batches.entries()) {
    optimizer.beginMicroBatch(index);
    if (model.lora) {
      // Each micro-batch gets its own dropout mask.
      model.lora.key = { seed: rates.seed, step: (step - 1) * batches.length + index };
    }
    const loss = { out: losses, index: lossIndex, accumulate: index > 0 };
    submit(pass, training, batch, { sink: optimizer, loss, gradScale });
  }
  if (model.lora) model.lora.key = undefined; // no dropout in evaluations
  return divisor;
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

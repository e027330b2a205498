/** One optimizer step: micro-batches forward and back, updates fused in. */
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import type { Profiler } from "../gpu/profiler.ts";
import { backward } from "../model/backward.ts";
import { forward } from "../model/forward.ts";
import type { GradientSink } from "../model/gradients.ts";
import { finalNorm, headLossAndGradients, type LossOutput } from "../model/head.ts";
import { uploadInputs, uploadTargets, uploadTokenOrder } from "../model/inputs.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import type { Training } from "./build.ts";

export interface MicroBatch {
  readonly inputs: Uint32Array; // (B·T)
  readonly firstKeys?: Uint32Array; // (B·T), see model/inputs.ts
  readonly targets: Int32Array; // (B·T), -100 ignored
  readonly tokens: number;
}

export interface StepOptions {
  /** From 1. */
  readonly step: number;
  readonly lr: number;
  readonly rates: OptimizerRates;
  /** Element of `training.losses` that receives the sum of the losses, in nats. */
  readonly lossIndex: number;
  readonly profiler?: Profiler;
}

/** Submits a whole step and does not wait for it. Returns the number of targets. */
export function trainStep(
  gpu: Gpu,
  training: Training,
  batches: readonly MicroBatch[],
  { step, lr, rates, lossIndex, profiler }: StepOptions,
): number {
  const { model, optimizer, losses } = training;
  const tokens = batches.reduce((sum, batch) => sum + batch.tokens, 0);
  // One mean over all targets of the step, however the micro-batches divide them.
  const gradScale = 1 / Math.max(1, tokens);
  const pass = new KernelPass(gpu, profiler);
  const { seed } = rates;
  optimizer.beginStep({ step, lr, rates });
  for (const [index, batch] of batches.entries()) {
    optimizer.beginMicroBatch(index);
    // Every micro-batch leaves out others.
    if (model.lora) model.lora.key = { seed, step: (step - 1) * batches.length + index };
    const loss = { out: losses, index: lossIndex, accumulate: index > 0 };
    forwardAndBack(pass, training, batch, { sink: optimizer, loss, gradScale });
  }
  if (model.lora) model.lora.key = undefined; // an evaluation leaves nothing out
  return tokens;
}

/** Submits one micro-batch forward and back; its gradients go to the sink as they come. */
export function forwardAndBack(
  pass: KernelPass,
  { model, activations, backward: gradients, head }: Training,
  batch: MicroBatch,
  { sink, loss, gradScale }: {
    readonly sink: GradientSink;
    readonly loss: LossOutput;
    /** One over the number of targets of the step. */
    readonly gradScale: number;
  },
): void {
  const { gpu } = pass;
  uploadInputs(gpu, model.config, activations, batch);
  uploadTargets(gpu, head, batch.targets);
  uploadTokenOrder(gpu, gradients, batch.inputs);
  forward(pass, model, activations);
  finalNorm(pass, model, activations);
  headLossAndGradients(pass, model, activations, gradients, head, sink, loss, gradScale);
  backward(pass, model, activations, gradients, sink);
  pass.submit();
}

/**
 * Forward, head, back: the sequence shared by training, evaluation, scoring and checks.
 *
 *   begin        ids, targets → every layer → final norm
 *   headLoss     → losses                                               head.ts
 *   finish       → losses, gradients → back through every layer
 */
import type { KernelPass } from "../gpu/pass.ts";
import type { Activations, BackwardActivations } from "./activations.ts";
import { backward } from "./backward.ts";
import type { Batch } from "./batch.ts";
import { forward } from "./forward.ts";
import { finalNorm, headLossAndGradients, type HeadOutput } from "./head.ts";
import type { HeadWorkspace } from "./head_workspace.ts";
import { uploadInputs, uploadTargets, uploadTokenOrder } from "./inputs.ts";
import type { Llama } from "./llama.ts";

/** A model and the buffers of a forward pass. */
export interface ForwardBuffers {
  /** The model. */
  readonly model: Llama;
  /** What the pass keeps. */
  readonly activations: Activations;
  /** For the loss. */
  readonly head: HeadWorkspace;
}

/** The same with those of a backward pass. */
export interface PassBuffers extends ForwardBuffers {
  /** Gradients of activations. */
  readonly backward: BackwardActivations;
}

/**
 * Uploads the batch and records the forward pass up to the head's input. The next batch may be
 * uploaded once this pass is submitted. Throws a ShapeError on an id beyond the vocabulary.
 */
export function begin(
  pass: KernelPass,
  { model, activations, head }: ForwardBuffers,
  batch: Pick<Batch, "inputs" | "targets" | "firstKeys">,
): void {
  uploadInputs(pass.gpu, model, activations, batch);
  uploadTargets(pass.gpu, head, batch.targets);
  forward(pass, model, activations);
  finalNorm(pass, model, activations);
}

/** After {@link begin}: records loss and gradients, each passed to the sink once complete. */
export function finish(
  pass: KernelPass,
  { model, activations, head, backward: gradients }: PassBuffers,
  { inputs }: Pick<Batch, "inputs">,
  output: HeadOutput,
): void {
  uploadTokenOrder(pass.gpu, gradients, inputs);
  const tiedHead = headLossAndGradients(pass, model, activations, gradients, head, output);
  backward(pass, model, activations, gradients, output.sink, tiedHead);
}

/** Submits a batch forward and back. */
export function forwardAndBack(
  pass: KernelPass,
  buffers: PassBuffers,
  batch: Batch,
  output: HeadOutput,
): void {
  begin(pass, buffers, batch);
  finish(pass, buffers, batch, output);
  pass.submit();
}

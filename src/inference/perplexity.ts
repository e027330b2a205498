/** Cross-entropy and perplexity over a finite stream of batches. */
import type { Gpu } from "../gpu/gpu.ts";
import { UserError } from "../options/user_error.ts";
import { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Activations } from "../model/activations.ts";
import type { Batch } from "../model/batch.ts";
import { headLoss, type LossOutput } from "../model/head.ts";
import type { HeadWorkspace } from "../model/head_workspace.ts";
import type { Llama } from "../model/llama.ts";
import { begin } from "../model/pass.ts";

/** How well a model predicts a text. */
export interface Evaluation {
  /** Mean over the targets, in nats. */
  readonly loss: number;
  /** e to the power of the loss. */
  readonly perplexity: number;
  /** Number of targets. */
  readonly tokens: number;
}

export interface EvaluationBuffers {
  readonly activations: Activations;
  readonly head: HeadWorkspace;
  /** float32; element `index` accumulates the losses. */
  readonly losses: Tensor;
  readonly index: number;
}

/**
 * Batches per read of the sum: each read waits for the GPU, but long float32 sums lose accuracy.
 */
const READ_EVERY = 16;
/**
 * A program that submits to a slow device without waiting stands still in a submit at last, and with
 * it its signals and its clock: after this long it waits for the device instead.
 */
const WAIT_AFTER_MS = 500;

/** How an evaluation is watched and ended. */
export interface EvaluationOptions {
  /** Takes effect between batches; its reason is thrown. */
  readonly signal?: AbortSignal;
  /** Called with the number of batches that the GPU has done. */
  readonly onBatch?: (done: number) => void;
}

/** Records the sum of a batch's losses. */
export function recordLoss(
  pass: KernelPass,
  model: Llama,
  { activations, head }: Pick<EvaluationBuffers, "activations" | "head">,
  batch: Batch,
  loss: LossOutput,
): void {
  begin(pass, { model, activations, head }, batch);
  headLoss(pass, model, activations, head, loss);
}

/** Mean loss over all targets of the batches. */
export async function evaluatePerplexity(
  gpu: Gpu,
  model: Llama,
  { activations, head, losses, index }: EvaluationBuffers,
  batches: AsyncIterable<Batch>,
  { signal, onBatch }: EvaluationOptions = {},
): Promise<Evaluation> {
  const pass = new KernelPass(gpu);
  let total = 0, tokens = 0, unread = 0, count = 0, waited = performance.now();
  const read = async () => {
    const bytes = await gpu.read(losses, 4 * index, 4);
    total += new Float32Array(bytes.buffer)[0];
    unread = 0;
  };
  for await (const batch of batches) {
    const loss = { out: losses, index, accumulate: unread > 0 };
    const record = () => {
      recordLoss(pass, model, { activations, head }, batch, loss);
      pass.submit();
    };
    if (model.gather) await gpu.give(record);
    else record();
    const done = ++count;
    if (onBatch) gpu.device.queue.onSubmittedWorkDone().then(() => onBatch(done), () => {});
    tokens += batch.tokens;
    if (performance.now() - waited > WAIT_AFTER_MS) {
      await gpu.settled();
      waited = performance.now();
    }
    if (++unread === READ_EVERY) await read();
    signal?.throwIfAborted();
  }
  // A read stands still, too, until the device has come to it.
  await gpu.settled();
  if (unread) await read();
  if (!tokens) throw new UserError("evaluation: the data has no target tokens");
  const loss = total / tokens;
  return { loss, perplexity: Math.exp(loss), tokens };
}

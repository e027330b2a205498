/**
 * The head with its cross-entropy, one chunk of tokens at a time, so that the logits of a whole
 * batch never exist at once:
 *
 *   x (N, C) → RMSNorm → logits (n, V) → losses (n)
 *   dlogits (n, V) overwrite the logits → dnormed (n, C), dhead (V, C) summed over chunks
 */
import type { KernelPass } from "../gpu/pass.ts";
import { elementRange, rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import { crossEntropy } from "../kernels/misc/cross_entropy.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import { sum } from "../kernels/misc/sum.ts";
import type { Activations, BackwardActivations } from "./activations.ts";
import { normalise } from "./forward.ts";
import { applyLinear } from "./linear.ts";
import type { Llama } from "./llama.ts";
import { HeadLora } from "./lora_head.ts";
import { blocksOf, type GradientSink } from "./gradients.ts";
import type { HeadWorkspace } from "./head_workspace.ts";
import { headGradientOfRows, type HeadRows } from "./head_rows.ts";

/** Normalises the last residual into `activations.normed`, the head's input. */
export function finalNorm(pass: KernelPass, model: Llama, activations: Activations): void {
  normalise(pass, model, {
    x: activations.residual[model.config.layers],
    norm: model.parameters.finalNorm,
    y: activations.normed,
    rstd: activations.finalRstd,
  });
}

/** Where a loss goes. */
export interface LossOutput {
  /** Receives the sum of the losses, in nats, at `index`. */
  readonly out: Tensor;
  /** Element of `out`. */
  readonly index: number;
  /** Adds to `out`, for gradient accumulation. */
  readonly accumulate: boolean;
}

/** The loss alone, after {@link finalNorm}. `weights`: (N) float32, 1 by default. */
export function headLoss(
  pass: KernelPass,
  model: Llama,
  activations: Activations,
  workspace: HeadWorkspace,
  { weights, ...loss }: LossOutput & { readonly weights?: Tensor },
): void {
  const lora = headLora(pass, model, activations);
  forEachChunk(activations, { ...workspace, weights }, (chunk, start) => {
    chunkLogits(pass, model, chunk);
    lora?.addLogits(chunk.logits, start);
    crossEntropy(pass, { ...chunk, gradScale: 0, gradients: false });
  });
  sum(pass, { x: workspace.losses, ...loss });
}

/** Where loss and gradients of a batch go. */
export interface HeadOutput {
  /** Takes the gradients. */
  readonly sink: GradientSink;
  /** Takes the sum of the losses. */
  readonly loss: LossOutput;
  /** Factor of all gradients: one over the number of targets in the step. */
  readonly gradScale: number;
  /** (N) float32: weight of each target's loss; 1 by default. */
  readonly weights?: Tensor;
}

/**
 * The loss, the gradient of the head (handed to the sink unless tied, when the embedding's backward
 * pass adds its contribution first) and, in `dnormed`, that of the normalised input. Where the sink
 * takes the gradient of a tied head in blocks, it is left to {@link backward}, which takes what is
 * returned.
 */
export function headLossAndGradients(
  pass: KernelPass,
  model: Llama,
  activations: Activations,
  { dnormed, headInput }: Pick<BackwardActivations, "dnormed" | "headInput">,
  workspace: HeadWorkspace,
  { sink, loss, gradScale, weights }: HeadOutput,
): HeadRows | undefined {
  const { head, headAdapter } = model.parameters, tied = model.config.tieWordEmbeddings;
  const blocks = head.trainable ? blocksOf(sink, head) : [];
  const target = blocks.length === 1 ? sink.target(head) : undefined;
  const lora = headLora(pass, model, activations), factor = headAdapter?.b;
  const factorTarget = factor?.trainable ? sink.target(factor) : undefined;
  forEachChunk(activations, { ...workspace, weights }, (chunk, start, end) => {
    chunkLogits(pass, model, chunk);
    lora?.addLogits(chunk.logits, start);
    crossEntropy(pass, { ...chunk, gradScale, gradients: true });
    matmul(pass, model.matmul, {
      layout: "NN",
      a: chunk.logits,
      b: head.weight,
      c: rowRange(dnormed, start, end),
    });
    lora?.backward(chunk.logits, start, factorTarget);
    if (!target) return;
    matmul(pass, model.matmul, {
      layout: "TN",
      a: chunk.logits,
      b: chunk.normed,
      c: target.gradient,
      accumulate: target.accumulate || start > 0,
    });
  });
  sum(pass, { x: workspace.losses, ...loss });
  const normed = rowRange(activations.normed, 0, activations.batch * activations.length);
  const inRows = { normed, workspace, gradScale, weights, lora };
  if (target && !tied) sink.consume(pass, head, target.gradient);
  if (!target && !tied) {
    for (const rows of blocks) {
      const target = sink.target(head, rows);
      headGradientOfRows(pass, model, inRows, rows, target);
      sink.consume(pass, head, target.gradient, rows);
    }
  }
  if (factorTarget) sink.consume(pass, factor!, factorTarget.gradient);
  lora?.finish(dnormed, sink);
  if (!tied || blocks.length <= 1) return undefined;
  if (!headInput || lora) {
    throw new Error(
      "headLossAndGradients: the gradient of a tied head in blocks needs its input kept, and no adapter",
    );
  }
  pass.copy(normed, headInput);
  return { ...inRows, normed: headInput };
}

/** The adapter's pass over the head's input, if the head has one. */
function headLora(
  pass: KernelPass,
  { parameters: { headAdapter }, lora }: Llama,
  { normed, batch, length }: Activations,
): HeadLora | undefined {
  if (!headAdapter) return undefined;
  return new HeadLora(pass, lora!, headAdapter, rowRange(normed, 0, batch * length));
}

/** logits (N, V) of x (N, C), the head's input, all at once */
export function headLogits(
  pass: KernelPass,
  model: Llama,
  { x, logits }: { x: Tensor; logits: Tensor },
): void {
  const { head: weight, headAdapter: adapter } = model.parameters;
  applyLinear(pass, model, { linear: { weight, adapter }, x, out: logits });
}

interface Chunk {
  readonly normed: Tensor; // (n, C)
  readonly logits: Tensor; // (n, V)
  readonly labels: Tensor; // (n)
  readonly losses: Tensor; // (n)
  readonly logsumexp: Tensor; // (n)
  readonly weights?: Tensor; // (n)
}

function chunkLogits(pass: KernelPass, model: Llama, { normed, logits }: Chunk): void {
  matmul(pass, model.matmul, {
    layout: "NT",
    a: normed,
    b: model.parameters.head.weight,
    c: logits,
  });
}

function forEachChunk(
  { normed, batch, length }: Activations,
  workspace: HeadWorkspace & { readonly weights?: Tensor },
  run: (chunk: Chunk, start: number, end: number) => void,
): void {
  const tokens = batch * length;
  const vocabulary = workspace.logits.shape[1];
  for (let start = 0; start < tokens; start += workspace.chunk) {
    const end = Math.min(tokens, start + workspace.chunk);
    const chunk = {
      normed: rowRange(normed, start, end),
      logits: viewAs(workspace.logits, "logits", [end - start, vocabulary]),
      labels: elementRange(workspace.labels, start, end),
      losses: elementRange(workspace.losses, start, end),
      logsumexp: elementRange(workspace.logsumexp, start, end),
      weights: workspace.weights && elementRange(workspace.weights, start, end),
    };
    run(chunk, start, end);
  }
}

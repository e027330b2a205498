/**
 * The embedding's adapter: x (N, C) += s · A[tokens]·Bᵀ, with A (V, r) and B (C, r), both times
 * the embedding's own scale. As in peft, nothing is dropped.
 */
import type { KernelPass } from "../gpu/pass.ts";
import { rowsOf } from "../numbers/layout.ts";
import { type Tensor, viewAs } from "../gpu/tensor.ts";
import { embedding } from "../kernels/misc/embedding.ts";
import { embeddingBackward } from "../kernels/misc/embedding_backward.ts";
import { matmul, type MatmulShape } from "../kernels/matmul/matmul.ts";
import type { BackwardActivations } from "./activations.ts";
import type { GradientSink } from "./gradients.ts";
import type { LoraWorkspace } from "./lora.ts";
import type { Adapter } from "./parameters.ts";

/** Matrix products of the adapter in a forward (and backward) pass over N tokens. */
export function embeddingLoraMatmuls(
  { b: { shape: [width, rank] } }: Adapter,
  tokens: number,
  backward: boolean,
): MatmulShape[] {
  const forward: MatmulShape = { layout: "NT", m: tokens, n: width, k: rank };
  if (!backward) return [forward];
  return [
    forward,
    { layout: "NN", m: tokens, n: rank, k: width },
    { layout: "TN", m: width, n: rank, k: tokens },
  ];
}

/** out (N, C) += the adapter's part; `scale` is the embedding's. */
export function applyEmbeddingLora(
  pass: KernelPass,
  workspace: LoraWorkspace,
  { adapter, tokens, out, scale = 1 }: {
    adapter: Adapter;
    tokens: Tensor;
    out: Tensor;
    scale?: number;
  },
): void {
  matmul(pass, workspace.matmul, {
    layout: "NT",
    a: gathered(pass, workspace, adapter, tokens),
    b: adapter.b.weight,
    c: out,
    alpha: scale * adapter.scale,
    accumulate: true,
  });
}

/** Gradients of A and B to the sink, from dx (N, C). */
export function embeddingLoraGradients(
  pass: KernelPass,
  workspace: LoraWorkspace,
  sink: GradientSink,
  { adapter, tokens, dx, order, sortedTokens, scale = 1 }:
    & { adapter: Adapter; tokens: Tensor; dx: Tensor; scale?: number }
    & Pick<BackwardActivations, "order" | "sortedTokens">,
): void {
  const { a, b } = adapter, alpha = scale * adapter.scale;
  if (!a.trainable) return;
  const low = gathered(pass, workspace, adapter, tokens);
  const dlow = viewAs(workspace.dlow, "lora.low_gradient", low.shape);
  matmul(pass, workspace.matmul, { layout: "NN", a: dx, b: b.weight, c: dlow, alpha });
  const ofB = sink.target(b);
  const { gradient: c, accumulate } = ofB;
  matmul(pass, workspace.matmul, { layout: "TN", a: dx, b: low, c, alpha, accumulate });
  sink.consume(pass, b, c);
  const ofA = sink.target(a);
  if (!ofA.accumulate) pass.clear(ofA.gradient);
  embeddingBackward(pass, { dx: dlow, order, sortedTokens, dweight: ofA.gradient });
  sink.consume(pass, a, ofA.gradient);
}

/** A[tokens] (N, r) */
function gathered(
  pass: KernelPass,
  workspace: LoraWorkspace,
  { a }: Adapter,
  tokens: Tensor,
): Tensor {
  const low = viewAs(workspace.low, "lora.low", [rowsOf([...tokens.shape, 1]), a.shape[1]]);
  embedding(pass, { tokens, weight: a.weight, out: low });
  return low;
}

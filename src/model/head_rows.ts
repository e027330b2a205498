/**
 * The gradient of the head in blocks of rows, each updated before the next is computed: whole, it
 * would be the largest buffer of a run with a large vocabulary. A block is a product of all tokens, so
 * the logits of its rows are computed again:
 *
 *   x (n, C) → logits (n, R) → dlogits (n, R) in place → dhead (R, C) summed over chunks of tokens
 *
 * That is one more product of the head beside the three that it takes anyway.
 */
import type { KernelPass } from "../gpu/pass.ts";
import { elementRange, rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import { crossEntropyRows } from "../kernels/misc/cross_entropy_rows.ts";
import { matmul, type MatmulShape } from "../kernels/matmul/matmul.ts";
import { lengthOf, type Range, ranges } from "../kernels/ranges.ts";
import { padded, rowsOf } from "../numbers/layout.ts";
import type { LlamaConfig } from "./config.ts";
import type { GradientTarget } from "./gradients.ts";
import type { HeadWorkspace } from "./head_workspace.ts";
import type { Llama } from "./llama.ts";

/** Something that adds its part to the head's logits, as an adapter does. */
export interface AddsLogits {
  /** To logits (n, V) from token `start` on; or (n, R), those of some rows of the head. */
  addLogits(logits: Tensor, start: number, rows?: Range): void;
}

/** What the gradient of every block depends on. */
export interface HeadRows {
  /** (N, C): the head's input. */
  readonly normed: Tensor;
  /** Buffers for a chunk of tokens. */
  readonly workspace: HeadWorkspace;
  /** Factor of all gradients. */
  readonly gradScale: number;
  /** (N) float32. */
  readonly weights?: Tensor;
  /** The adapter's pass over the same input, if the head has one. */
  readonly lora?: AddsLogits;
}

/** Tokens whose logits of a block the workspace holds: all, or a multiple of 64. */
function chunkOf({ chunk, logits, labels }: HeadWorkspace, rows: number): number {
  const fitting = Math.floor(logits.byteLength / (4 * padded(rows)));
  return Math.min(labels.shape[0], Math.max(chunk, fitting - fitting % 64));
}

/** dhead (R, C), the gradient of rows of the head's weight, to its target. */
export function headGradientOfRows(
  pass: KernelPass,
  { matmul: products, parameters: { head } }: Llama,
  { normed, workspace, gradScale, weights, lora }: HeadRows,
  rows: Range,
  { gradient, accumulate }: GradientTarget,
): void {
  const { labels, logsumexp } = workspace;
  const weight = rowRange(head.weight, rows.start, rows.end);
  for (const { start, end } of ranges(rowsOf(normed.shape), chunkOf(workspace, lengthOf(rows)))) {
    const x = rowRange(normed, start, end);
    const logits = viewAs(workspace.logits, "logits", [end - start, lengthOf(rows)]);
    matmul(pass, products, { layout: "NT", a: x, b: weight, c: logits });
    lora?.addLogits(logits, start, rows);
    crossEntropyRows(pass, {
      logits,
      first: rows.start,
      labels: elementRange(labels, start, end),
      logsumexp: elementRange(logsumexp, start, end),
      weights: weights && elementRange(weights, start, end),
      gradScale,
    });
    matmul(pass, products, {
      layout: "TN",
      a: logits,
      b: x,
      c: gradient,
      accumulate: accumulate || start > 0,
    });
  }
}

/** The products of blocks of this many rows, for sizing the matmul workspace. */
export function headRowsMatmuls(
  { hiddenSize: C }: LlamaConfig,
  workspace: HeadWorkspace,
  rows: number,
): MatmulShape[] {
  const n = chunkOf(workspace, rows);
  return [{ layout: "NT", m: n, n: rows, k: C }, { layout: "TN", m: rows, n: C, k: n }];
}

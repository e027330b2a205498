/**
 * Gradients that are summed over the micro-batches of a step in INT8, a quarter of the bytes of
 * float32. Each sum is rounded stochastically, so that its error has a mean of zero.
 */
import type { KernelPass } from "../gpu/pass.ts";
import { rowRange, type Tensor } from "../gpu/tensor.ts";
import { groupDequantize } from "../kernels/quantise/group_dequantize.ts";
import type { StochasticRounding } from "../kernels/quantise/group_format.ts";
import { groupQuantize } from "../kernels/quantise/group_quantize.ts";
import { groupUpdate } from "../kernels/quantise/group_update.ts";
import type { Range } from "../kernels/ranges.ts";
import { saltedSeed } from "../kernels/salts.ts";

/** Adds a gradient, or these rows of it, to a sum; a first one begins it. */
export function addToInt8(
  pass: KernelPass,
  { sum, gradient, rows, isFirst, key }: {
    /** INT8, whole. */
    readonly sum: Tensor;
    readonly gradient: Tensor;
    readonly rows?: Range;
    readonly isFirst: boolean;
    /** Seed of the run, micro-batch of the run, and tensor. */
    readonly key: StochasticRounding;
  },
): void {
  const target = rowsOfSum(sum, rows);
  const rounding = { ...key, seed: saltedSeed(key.seed, "sums") };
  if (isFirst) groupQuantize(pass, { source: gradient, target, rounding });
  else groupUpdate(pass, { weight: target, update: gradient, decay: 1, rounding });
}

/** Writes a sum, or these rows of it, in float32. */
export function readInt8(
  pass: KernelPass,
  { sum, rows, target }: { readonly sum: Tensor; readonly rows?: Range; readonly target: Tensor },
): void {
  groupDequantize(pass, { source: rowsOfSum(sum, rows), target });
}

function rowsOfSum(sum: Tensor, rows?: Range): Tensor {
  return rows ? rowRange(sum, rows.start, rows.end) : sum;
}

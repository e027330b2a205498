/**
 * Adam-mini for matrices with a row per token, embedding and output head (Zhang et al. 2024, arXiv
 * 2406.16793): Adam with one second moment a row, the mean over its elements. Here the first moment
 * has 8 bits, in blocks of 256 that start anew in each row: a rare token's does not share its scale
 * with a frequent one's.
 */
import { elementRange, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { adamMini as step, rowBlocks } from "../../kernels/optim/adam_mini.ts";
import { columnsOf, type DType, rowsOf } from "../../numbers/layout.ts";
import type { UpdateRule } from "./rule.ts";

export type AdamMiniState = {
  readonly m: Tensor; // the gradient's shape: uint8 codes
  readonly absmax_m: Tensor; // (rows · blocks of a row) float32
  readonly v: Tensor; // (rows) float32
};

export const adamMini: UpdateRule<AdamMiniState> = {
  label: "adam_mini",
  createState(allocator, name, shape) {
    const make = (label: string, of: readonly number[], dtype: DType) =>
      allocator.tensor({ name: `${name}.${label}`, shape: of, dtype, purpose: "optimizer_state" });
    const rows = rowsOf(shape);
    return {
      m: make("m", shape, "uint8"),
      absmax_m: make("m.absmax", [rows * rowBlocks(columnsOf(shape))], "float32"),
      v: make("v", [rows], "float32"),
    };
  },
  rows({ m, absmax_m, v }, start, end) {
    const blocks = rowBlocks(columnsOf(m.shape));
    return {
      m: rowRange(m, start, end),
      absmax_m: elementRange(absmax_m, start * blocks, end * blocks),
      v: elementRange(v, start, end),
    };
  },
  matmuls: () => [],
  record(pass, { gradient, state: { m, absmax_m: absmaxM, v }, step: at, lr, rates }) {
    const { beta1, beta2, adamEps: eps } = rates;
    step(pass, { gradient, m, absmaxM, v, step: at, lr, beta1, beta2, eps });
  },
};

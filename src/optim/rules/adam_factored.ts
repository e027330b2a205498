/**
 * Adam for matrices with a row per token, embedding and output head, at a byte a weight: the second
 * moment is factored into one of each row and one of each column (Shazeer & Stern 2018, "Adafactor",
 * algorithm 4), here of 256 rows each, and the first moment has 8 bits, in blocks of 256 that start
 * anew in each row: a rare token's does not share its scale with a frequent one's.
 *
 * A second moment for each row alone, as in Adam-mini (Zhang et al. 2024, arXiv 2406.16793), is as
 * good for the embedding. For the head it is not: a few columns, the direction that all hidden states
 * have in common, make up most of each row's gradient, and the others then hardly move.
 */
import { elementRange, rowRange, type Tensor } from "../../gpu/tensor.ts";
import {
  adamFactored as record,
  blocksOfRow,
  MOMENT_ROWS,
  rowBlocks,
} from "../../kernels/optim/adam_factored.ts";
import { columnsOf, type DType, rowsOf } from "../../numbers/layout.ts";
import type { UpdateRule } from "./rule.ts";

export type AdamFactoredState = {
  readonly m: Tensor; // the gradient's shape: uint8 codes
  readonly absmax_m: Tensor; // (rows · blocks of a row) float32
  readonly v: Tensor; // (rows) float32
  readonly columns: Tensor; // (blocks of 256 rows, C) float32
};

export const adamFactored: UpdateRule<AdamFactoredState> = {
  label: "adam_factored",
  createState(allocator, name, shape) {
    const make = (label: string, of: readonly number[], dtype: DType) =>
      allocator.tensor({ name: `${name}.${label}`, shape: of, dtype, purpose: "optimizer_state" });
    const rows = rowsOf(shape), width = columnsOf(shape);
    return {
      m: make("m", shape, "uint8"),
      absmax_m: make("m.absmax", [rows * blocksOfRow(width)], "float32"),
      v: make("v", [rows], "float32"),
      columns: make("v.columns", [rowBlocks(rows), width], "float32"),
    };
  },
  rows({ m, absmax_m, v, columns }, start, end) {
    const blocks = blocksOfRow(columnsOf(m.shape));
    return {
      m: rowRange(m, start, end),
      absmax_m: elementRange(absmax_m, start * blocks, end * blocks),
      v: elementRange(v, start, end),
      columns: rowRange(columns, start / MOMENT_ROWS, rowBlocks(end)),
    };
  },
  matmuls: () => [],
  record(pass, { gradient, state: { m, absmax_m: absmaxM, v, columns }, step, lr, rates }) {
    const { beta1, beta2, adamEps: eps } = rates;
    record(pass, { gradient, m, absmaxM, v, columns, step, lr, beta1, beta2, eps });
  },
};

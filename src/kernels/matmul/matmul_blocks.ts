/** Shared by the variants of matmul: the problem, its blocks and the kernel's epilogue. */
import type { KernelPass } from "../../gpu/pass.ts";
import { rowRange, type Tensor } from "../../gpu/tensor.ts";
import { lengthOf, type Range, rowsPerBinding } from "../ranges.ts";
import { FLAG } from "../shader.ts";

/** op(a) and op(b): T means transposed. */
export type MatmulLayout = "NT" | "NN" | "TN";

/** Sizes of a product: c (m, n) = op(a) (m, k) · op(b) (k, n). */
export interface MatmulShape {
  /** Which of a and b are transposed. */
  readonly layout: MatmulLayout;
  /** Rows of c. */
  readonly m: number;
  /** Columns of c. */
  readonly n: number;
  /** Terms of each sum. */
  readonly k: number;
}

/** A checked problem: c = alpha · op(a) · op(b) [+ c] [+ residual]; m, n are those of c. */
export interface Problem extends MatmulShape {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly c: Tensor;
  readonly alpha: number;
  readonly accumulate: boolean;
  readonly residual?: Tensor;
  /** The row of op(a), as given here, that the first of c belongs to. */
  readonly firstRow: number;
  /** The product that c has rows of, on which everything that bits depend on is decided. */
  readonly whole: MatmulShape;
  /** Placeholder for unused bindings. */
  readonly none: Tensor;
}

export interface Block {
  readonly m: Range;
  readonly n: Range;
  readonly k: Range;
}

/** Blocks of rows start at multiples of this, so that a binding can start there. */
export const ROW_STEP = 64;

/** The largest multiple of ROW_STEP up to `size`, at least one. */
export function stepDown(size: number): number {
  return Math.max(ROW_STEP, Math.floor(size / ROW_STEP) * ROW_STEP);
}

/**
 * Rows of c per dispatch: limited by the binding size, and by the work that the adapter does in
 * about a quarter of a second.
 */
export function rowsOfC(pass: KernelPass, c: Tensor, columns: number, k: number, flops: number) {
  return Math.min(rowsPerBinding(pass, c), stepDown(flops / (2 * columns * k)));
}

/** The constants of lib/matmul_store.wgsl. */
export const STORE_FLAGS = { ACCUMULATE: FLAG, RESIDUAL: FLAG };

/** Constants, operands and parameters of lib/matmul_store.wgsl. */
export function storing({ c, residual, none, alpha, accumulate }: Problem, { m, n, k }: Block) {
  const first = k.start === 0;
  return {
    constants: {
      ACCUMULATE: accumulate || !first ? 1 : 0,
      RESIDUAL: residual && first ? 1 : 0,
    },
    operands: {
      c: rowRange(c, m.start, m.end),
      residual: residual && first ? rowRange(residual, m.start, m.end) : none,
    },
    params: {
      rows: lengthOf(m),
      columns: lengthOf(n),
      row_quads: c.stride / 4,
      first_quad: n.start / 4,
      alpha,
    },
  };
}

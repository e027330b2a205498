/** What the editions of matmul share: the problem, its blocks and the end of the kernel. */
import { rowRange, type Tensor } from "../gpu/tensor.ts";
import { ROW_STEP, rowsPerBinding } from "./octet.ts";
import type { Range } from "./stage.ts";

/** op(a) and op(b): T means transposed. */
export type Layout = "NT" | "NN" | "TN";

export interface MatmulShape {
  readonly layout: Layout;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** A checked problem: c = alpha · op(a) · op(b) [+ c] [+ residual]. */
export interface Problem extends MatmulShape {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly c: Tensor;
  readonly alpha: number;
  readonly accumulate: boolean;
  readonly residual?: Tensor;
  /** What fills a binding that is not used. */
  readonly none: Tensor;
}

export interface Block {
  readonly m: Range;
  readonly n: Range;
  readonly k: Range;
}

/** [0, size) in ranges of `step`. */
export function ranges(size: number, step: number): Range[] {
  const result: Range[] = [];
  for (let start = 0; start < size; start += step) {
    result.push({ start, end: Math.min(start + step, size) });
  }
  return result;
}

export function length(range: Range): number {
  return range.end - range.start;
}

/** The largest multiple of ROW_STEP up to `size`, at least one. */
export function stepDown(size: number): number {
  return Math.max(ROW_STEP, Math.floor(size / ROW_STEP) * ROW_STEP);
}

/**
 * Rows of c that one dispatch may compute: what its binding holds, and no more work than the
 * adapter does in about a quarter of a second.
 */
export function rowsPerDispatch(
  problem: Problem,
  columns: number,
  k: number,
  bindingBytes: number,
  flops: number,
): number {
  return Math.min(rowsPerBinding(problem.c, bindingBytes), stepDown(flops / (2 * columns * k)));
}

/** Operands and parameters of lib/matmul_store.wgsl. */
export function storing({ c, residual, none, alpha, accumulate }: Problem, { m, n, k }: Block) {
  const first = k.start === 0;
  return {
    operands: {
      c: rowRange(c, m.start, m.end),
      residual: residual && first ? rowRange(residual, m.start, m.end) : none,
    },
    params: {
      rows: length(m),
      columns: length(n),
      row_quads: c.stride / 4,
      first_quad: n.start / 4,
      alpha,
      accumulate: accumulate || !first ? 1 : 0,
      residual: residual && first ? 1 : 0,
    },
  };
}

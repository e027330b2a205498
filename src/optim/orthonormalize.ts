/**
 * Orthonormalises the rows of a matrix in order: block Gram–Schmidt, twice (Stewart 2008, "Block
 * Gram–Schmidt orthogonalization"). Matrix products remove from a block of rows what the earlier
 * rows span; the block is then orthonormalised by itself. Both are repeated, because a row of which
 * little remains after the first round is mostly rounding error. Cholesky of the Gram matrix would
 * save one product, but squares the condition number: the rows of a subspace iteration nearly all
 * lie along a few leading vectors, and float32 could not separate them.
 */
import type { Allocator } from "../gpu/allocator.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { columnsOf, padded, rowsOf } from "../numbers/layout.ts";
import { rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import { matmul, type MatmulShape, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import {
  BLOCK_ROWS,
  blockRows,
  orthonormalizeBlock,
} from "../kernels/optim/orthonormalize_block.ts";
import { ranges } from "../kernels/ranges.ts";
import { scaleRows } from "../kernels/optim/scale_rows.ts";

export interface OrthonormalizeWorkspace {
  readonly block: Tensor; // (32, columns) float32
  readonly coefficients: Tensor; // (32, rows) float32
}

/** For matrices of at most `rows` × `columns`. */
export function createOrthonormalizeWorkspace(
  allocator: Allocator,
  [rows, columns]: readonly [number, number],
): OrthonormalizeWorkspace {
  const make = (name: string, width: number) =>
    allocator.tensor({
      name: `orthonormalize.${name}`,
      shape: [BLOCK_ROWS * padded(width)],
      dtype: "float32",
      purpose: "workspace",
    });
  return { block: make("block", columns), coefficients: make("coefficients", rows) };
}

/** Its largest matrix products. */
export function orthonormalizeMatmuls(rows: number, columns: number): MatmulShape[] {
  return [
    { layout: "NT", m: BLOCK_ROWS, n: rows, k: columns },
    { layout: "NN", m: BLOCK_ROWS, n: columns, k: rows },
  ];
}

/** In the first round only an all-zero row counts as zero: its largest element was scaled to 1. */
const NOTHING = 1e-30;
/**
 * In the second round a row starts with length 1. One that loses more than nine tenths of it was
 * rounding error within the span of the others, which already span everything.
 */
const DEPENDENT = 0.01;

export interface Orthonormalize {
  readonly source: Tensor; // (rows, columns) float32; its rows are scaled
  readonly target: Tensor; // the shape of source, overwritten: orthonormal rows, or zero
}

/**
 * The first i rows of `target` span what the first i rows of `source` span. A row within the span
 * of the earlier ones becomes zero.
 */
export function orthonormalize(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  workspace: OrthonormalizeWorkspace,
  { source, target }: Orthonormalize,
): void {
  const rows = rowsOf(source.shape), columns = columnsOf(source.shape);
  scaleRows(pass, { matrix: source });
  for (const { start, end } of ranges(rows, blockRows(columns))) {
    const block = viewAs(workspace.block, "orthonormalize.block", [end - start, columns]);
    pass.copy(rowRange(source, start, end), block);
    for (const least of [NOTHING, DEPENDENT]) {
      if (start > 0) {
        const before = rowRange(target, 0, start);
        const shape = [end - start, start];
        const dots = viewAs(workspace.coefficients, "orthonormalize.coefficients", shape);
        matmul(pass, matmuls, { layout: "NT", a: block, b: before, c: dots });
        const less = { alpha: -1, accumulate: true };
        matmul(pass, matmuls, { layout: "NN", a: dots, b: before, c: block, ...less });
      }
      orthonormalizeBlock(pass, { block, least });
    }
    pass.copy(block, rowRange(target, start, end));
  }
}

/**
 * Orthonormal rows of a matrix, in their order: block Gram–Schmidt, twice (Stewart 2008, "Block
 * Gram–Schmidt orthogonalization"). A block of rows is rid of what the rows before it span, by
 * matrix products; then, alone, made orthonormal; and both again, because after the first time a
 * row of which little was left is mostly rounding error. Cholesky of the Gram matrix would be one
 * product less, and squares the condition number: the rows of a subspace iteration nearly all lie
 * along a few leading vectors, and float32 would not hold them apart.
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

/** For matrices of up to so many rows and columns. */
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

/** The largest of the products that it takes. */
export function orthonormalizeMatmuls(rows: number, columns: number): MatmulShape[] {
  return [
    { layout: "NT", m: BLOCK_ROWS, n: rows, k: columns },
    { layout: "NN", m: BLOCK_ROWS, n: columns, k: rows },
  ];
}

/** The first time only a row of nothing is zero: its largest element was made 1 before. */
const NOTHING = 1e-30;
/**
 * The second time a row begins with length 1. One that loses more than nine tenths of it has been
 * an error of rounding within the span of the others: they span all there is.
 */
const DEPENDENT = 0.01;

export interface Orthonormalize {
  readonly source: Tensor; // (rows, columns) float32; its rows are scaled
  readonly target: Tensor; // the shape of source, overwritten: orthonormal rows, or zero
}

/**
 * Rows of `target` span what the rows of `source` before and up to them span. A row within the span
 * of those before it becomes zero.
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

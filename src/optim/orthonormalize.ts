/**
 * Orthonormalises the rows of a matrix in order, block by block, by matrix products alone but for
 * one small factorisation: products remove from a block of rows what the earlier rows span (block
 * Gram–Schmidt: Stewart 2008), then Cholesky QR orthonormalises the block by itself (Fukaya et al.
 * 2020, "Shifted Cholesky QR for computing the QR factorization of ill-conditioned matrices").
 *
 *   per pass:  B ← B − (B·Pᵀ)·P            P the orthonormal rows before
 *              S = B·Bᵀ,  B ← W(S)·B       W lower triangular: the first rows keep their span
 *
 * S squares the condition number of the block, and the rows of a subspace iteration may nearly all
 * lie along a few leading vectors. A shift of S by more than its rounding error keeps the
 * factorisation safe; such a pass leaves the block not orthonormal, but up to 300 times better
 * conditioned. After two of them, whatever float32 can tell apart is, and two plain passes make it
 * orthonormal to rounding.
 */
import type { Allocator } from "../gpu/allocator.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { columnsOf, padded, rowsOf } from "../numbers/layout.ts";
import { rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import { CHOLESKY_ROWS, inverseCholesky } from "../kernels/optim/inverse_cholesky.ts";
import { matmul, type MatmulShape, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import { ranges } from "../kernels/ranges.ts";
import { scaleRows } from "../kernels/optim/scale_rows.ts";

export interface OrthonormalizeWorkspace {
  readonly block: Tensor; // (b, columns) float32, b the rows of a block
  readonly small: Tensor; // (b, rows) float32: products with the rows before, or with each other
}

/** For matrices of at most `rows` × `columns`. */
export function createOrthonormalizeWorkspace(
  allocator: Allocator,
  [rows, columns]: readonly [number, number],
): OrthonormalizeWorkspace {
  const make = (name: string, width: number) =>
    allocator.tensor({
      name: `orthonormalize.${name}`,
      shape: [Math.min(CHOLESKY_ROWS, rows) * padded(width)],
      dtype: "float32",
      purpose: "workspace",
    });
  return { block: make("block", columns), small: make("small", rows) };
}

/** Its largest matrix products. */
export function orthonormalizeMatmuls(rows: number, columns: number): MatmulShape[] {
  const m = blockRows(rows);
  return [
    { layout: "NT", m, n: rows, k: columns },
    { layout: "NN", m, n: columns, k: rows },
  ];
}

/** Rows of all blocks but the last: equally many, and a multiple of 8, so that no row is padded. */
function blockRows(rows: number): number {
  return 8 * Math.ceil(rows / Math.ceil(rows / CHOLESKY_ROWS) / 8);
}

/** Of a Gram matrix with a diagonal of ones: above its rounding error, 128 sums of float32. */
const SHIFTED = { shift: 1e-5, least: 0 };
/**
 * By now the rows have about length 1. One that loses more than nine tenths of it was rounding
 * error within the span of the others, which already span everything.
 */
const PLAIN = { shift: 0, least: 0.01 };

const PASSES = [SHIFTED, SHIFTED, PLAIN, PLAIN];

export interface Orthonormalize {
  readonly source: Tensor; // (rows, columns) float32, overwritten
  readonly target: Tensor; // the shape of source, overwritten: orthonormal rows, or zero
  /**
   * All by default. Fewer leave rows of that span which are better conditioned: enough between the
   * rounds of an iteration, one where the rows are far from dependent.
   */
  readonly passes?: 1 | 2;
}

/**
 * The first i rows of `target` span what the first i rows of `source` span. A row within the span
 * of the earlier ones becomes zero.
 */
export function orthonormalize(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  workspace: OrthonormalizeWorkspace,
  { source, target, passes }: Orthonormalize,
): void {
  const rows = rowsOf(source.shape), columns = columnsOf(source.shape);
  scaleRows(pass, { matrix: source });
  for (const { start, end } of ranges(rows, blockRows(rows))) {
    const count = end - start;
    const small = (width: number) =>
      viewAs(workspace.small, "orthonormalize.small", [count, width]);
    const scratch = viewAs(workspace.block, "orthonormalize.block", [count, columns]);
    let block = rowRange(source, start, end), next = scratch;
    const rules = PASSES.slice(0, passes);
    for (const [index, rule] of rules.entries()) {
      if (start > 0) {
        const dots = small(start), before = rowRange(target, 0, start);
        matmul(pass, matmuls, { layout: "NT", a: block, b: before, c: dots });
        const less = { alpha: -1, accumulate: true };
        matmul(pass, matmuls, { layout: "NN", a: dots, b: before, c: block, ...less });
      }
      const gram = small(count);
      matmul(pass, matmuls, { layout: "NT", a: block, b: block, c: gram });
      inverseCholesky(pass, { gram, ...rule });
      const c = index < rules.length - 1 ? next : rowRange(target, start, end);
      matmul(pass, matmuls, { layout: "NN", a: gram, b: block, c });
      [block, next] = [next, block];
    }
  }
}

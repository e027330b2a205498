import code from "../../../shaders/optim/inverse_cholesky.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { rowsOf } from "../../numbers/layout.ts";
import { describe, expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { shader } from "../shader.ts";

/** Rows and columns that a thread holds, as in the WGSL. */
const TILE = 8;
/** Threads along each side of a workgroup; at most 256 threads, as on every adapter. */
const SIDES = [2, 4, 8, 16];

const kernel = shader("inverse_cholesky", code, { constants: { SIDE: SIDES } });

/** Most rows of a matrix. */
export const CHOLESKY_ROWS = TILE * SIDES.at(-1)!;

export interface InverseCholesky {
  /** B·Bᵀ (size, size) float32, at most 128 rows; overwritten with W. */
  readonly gram: Tensor;
  /** Added to the diagonal, once it is scaled to ones. */
  readonly shift: number;
  /** A row of which at most this squared length remains beyond the rows before it becomes zero. */
  readonly least: number;
}

/**
 * Overwrites the Gram matrix of the rows of B with the lower triangular W for which the rows of W·B
 * are orthonormal: the inverse of its Cholesky factor. With a shift they are not orthonormal but
 * better conditioned than B, however close to dependent those are (Fukaya et al. 2020, "Shifted
 * Cholesky QR"). Throws {@link ShapeError} on a matrix that is not square, or larger.
 */
export function inverseCholesky(pass: KernelPass, io: InverseCholesky): void {
  const { gram, shift, least } = io, size = rowsOf(gram.shape);
  expectDType("inverseCholesky", "gram", gram, "float32");
  expectShape("inverseCholesky", "gram", gram, [size, size]);
  if (size > CHOLESKY_ROWS) {
    throw new ShapeError(
      `inverseCholesky: gram must have at most ${CHOLESKY_ROWS} rows, got ${describe(gram)}`,
    );
  }
  pass.dispatch({
    kernel,
    constants: { SIDE: SIDES.find((side) => size <= TILE * side)! },
    operands: { gram },
    params: { size, row_octets: gram.stride / TILE, shift, least },
    workgroups: [1],
  });
}

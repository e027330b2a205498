import code from "../../../shaders/optim/orthonormalize_block.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { describe, expectDType, type Tensor } from "../../gpu/tensor.ts";
import { LOOP_ROUNDS } from "../strategy.ts";
import { shader } from "../shader.ts";

/** Few, for a processor, whose threads are loops. */
const WORKGROUP_SIZE = 64;

const kernel = shader("orthonormalize_block", code, { constants: { WORKGROUP_SIZE } });

/** Rows of a block at most, as in the WGSL. */
export const BLOCK_ROWS = 32;

/** Rows of a block of so many columns, 32 or, beyond 13,824 columns, fewer: see LOOP_ROUNDS. */
export function blockRows(columns: number): number {
  let rows = BLOCK_ROWS;
  while (loopRounds(rows, columns) > LOOP_ROUNDS) rows /= 2;
  return rows;
}

/** For each pair of rows a walk over the columns, twice; and the sums of all threads, row by row. */
function loopRounds(rows: number, columns: number): number {
  const walk = Math.ceil(columns / 4 / WORKGROUP_SIZE) + 2;
  return rows * (rows + 1) * walk + rows * (WORKGROUP_SIZE + 5);
}

export interface OrthonormalizeBlock {
  readonly block: Tensor; // (rows, columns) float32, at most 32 rows, in place
  /** A row that keeps this squared length or less becomes zero. */
  readonly least: number;
}

/**
 * Makes the rows of a block orthonormal, in their order, by modified Gram–Schmidt. Throws
 * {@link ShapeError} on more rows than {@link blockRows}.
 */
export function orthonormalizeBlock(pass: KernelPass, { block, least }: OrthonormalizeBlock): void {
  expectDType("orthonormalizeBlock", "block", block, "float32");
  const rows = rowsOf(block.shape), most = blockRows(columnsOf(block.shape));
  if (rows > most) {
    throw new ShapeError(
      `orthonormalizeBlock: block must have at most ${most} rows, got ${describe(block)}`,
    );
  }
  pass.dispatch({
    kernel,
    operands: { block },
    params: { rows, row_quads: block.stride / 4, least },
    workgroups: [1],
  });
}

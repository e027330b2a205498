import code from "../../shaders/orthonormalize_block.wgsl" with { type: "text" };
import { ShapeError } from "../gpu/errors.ts";
import { defineKernel } from "../gpu/kernel.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { describe, expectDType, rowsOf, type Tensor } from "../gpu/tensor.ts";

const kernel = defineKernel("orthonormalize_block", code);

/** Rows of a block, as in the WGSL. */
export const BLOCK_ROWS = 32;

/**
 * Few, for a processor, whose threads are loops; and enough for 14,000 columns: beyond, Mesa's
 * software adapters would end the loops of a thread, which they do after 65,535 rounds in total.
 */
const WORKGROUP_SIZE = 64;

export interface OrthonormalizeBlock {
  readonly block: Tensor; // (rows, columns) float32, at most 32 rows, in place
  /** A row that keeps this squared length or less becomes zero. */
  readonly least: number;
}

/**
 * Makes the rows of a block orthonormal, in their order, by modified Gram–Schmidt. Throws
 * {@link ShapeError} on more than 32 rows.
 */
export function orthonormalizeBlock(pass: KernelPass, { block, least }: OrthonormalizeBlock): void {
  expectDType("orthonormalizeBlock", "block", block, "float32");
  const rows = rowsOf(block.shape);
  if (rows > BLOCK_ROWS) {
    throw new ShapeError(
      `orthonormalizeBlock: block must have at most ${BLOCK_ROWS} rows, got ${describe(block)}`,
    );
  }
  pass.dispatch({
    kernel,
    constants: { WORKGROUP_SIZE },
    operands: { block },
    params: { rows, row_quads: block.stride / 4, least },
    workgroups: [1],
  });
}

import code from "../../../shaders/optim/orthonormalize_block.wgsl" with { type: "text" };
import lanesCode from "../../../shaders/optim/orthonormalize_block_lanes.wgsl" with {
  type: "text",
};
import { ShapeError } from "../../numbers/shape_error.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { describe, expectDType, type Tensor } from "../../gpu/tensor.ts";
import { kernelByLanes, loneThreads, sharedBy, type Sharing } from "../lanes.ts";
import { LOOP_ROUNDS, strategyFor } from "../strategy.ts";
import { shader } from "../shader.ts";

/** Small, because a processor runs the threads of a workgroup in a loop. */
const WORKGROUP_SIZE = 64;

const kernel = shader("orthonormalize_block", code, { constants: { WORKGROUP_SIZE } });
const kernelsByLanes = kernelByLanes("orthonormalize_block_lanes", lanesCode, { held: [8] });

/** Most rows per block, as in the WGSL. */
export const BLOCK_ROWS = 32;

/** Rows per block with this many columns: 32, or fewer beyond 13,824 columns; see LOOP_ROUNDS. */
export function blockRows(columns: number): number {
  let rows = BLOCK_ROWS;
  while (loopRounds(rows, columns) > LOOP_ROUNDS) rows /= 2;
  return rows;
}

/** Two loops over the columns for each pair of rows, and the sums over all threads for each row. */
function loopRounds(rows: number, columns: number): number {
  const walk = Math.ceil(columns / 4 / WORKGROUP_SIZE) + 2;
  return rows * (rows + 1) * walk + rows * (WORKGROUP_SIZE + 5);
}

/** With one lane, a thread owns columns, not rows. */
export interface OrthonormalizeBlock extends Sharing {
  /** (rows, columns) float32, at most 32 rows, in place. */
  readonly block: Tensor;
  /** A row whose remaining squared length is at most this becomes zero. */
  readonly least: number;
}

/**
 * Orthonormalises the rows of a block in order, by modified Gram–Schmidt. Throws {@link ShapeError}
 * on more rows than {@link blockRows}.
 */
export function orthonormalizeBlock(pass: KernelPass, io: OrthonormalizeBlock): void {
  const { block, least, near } = io;
  expectDType("orthonormalizeBlock", "block", block, "float32");
  const rows = rowsOf(block.shape), most = blockRows(columnsOf(block.shape));
  if (rows > most) {
    throw new ShapeError(
      `orthonormalizeBlock: block must have at most ${most} rows, got ${describe(block)}`,
    );
  }
  const { lanes = lanesIn(pass.gpu) } = io;
  const shared = lanes > 1 &&
    sharedBy(pass, kernelsByLanes, { lanes, near, threads: lanes * BLOCK_ROWS });
  pass.dispatch({
    ...(shared ? { kernel: shared.kernel, constants: shared.constants } : { kernel }),
    operands: { block },
    params: { rows, row_quads: block.stride / 4, least },
    workgroups: [1],
  });
}

function lanesIn(gpu: Gpu): number {
  return strategyFor(gpu.capabilities).loneLanes > 1 ? loneThreads(gpu) / BLOCK_ROWS : 1;
}

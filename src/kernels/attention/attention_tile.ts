/** Attention kernels for cards: blocks of rows and columns by a grid of threads. */
import type { Walk } from "./attention_heads.ts";

/** Threads of a workgroup in each direction, of 4 × 4 each, as in the WGSL. */
const LANES = 8;

/** Rows of a workgroup. */
export const BLOCK_ROWS = 4 * LANES;

/** Of the longest of the three kernels, as if the compiler unrolled no loop. */
export function tiledWalk(headSize: number): Walk {
  const headQuads = headSize / 4, outQuads = Math.ceil(headQuads / LANES);
  const products = headQuads + 1, columns = LANES * (outQuads + 7), rest = LANES + outQuads + 10;
  return { step: BLOCK_ROWS, rounds: products + columns + rest };
}

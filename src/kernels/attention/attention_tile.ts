/** Attention for graphics cards: a grid of threads computes blocks of rows and columns. */
import type { Walk } from "./attention_heads.ts";

/** Threads per workgroup in each direction, each with a 4 × 4 tile, as in the WGSL. */
const LANES = 8;

/** Rows per workgroup. */
export const BLOCK_ROWS = 4 * LANES;

/** For the longest of the three kernels, assuming no loop is unrolled. */
export function tiledWalk(headSize: number): Walk {
  const headQuads = headSize / 4, outQuads = Math.ceil(headQuads / LANES);
  const products = headQuads + 1, columns = LANES * (outQuads + 7), rest = LANES + outQuads + 10;
  return { step: BLOCK_ROWS, rounds: products + columns + rest };
}

/** Geometry of the attention kernels for cards: tiles of threads over blocks of rows and columns. */
import tile from "../../shaders/lib/attention_tile.wgsl" with { type: "text" };
import { AttentionKernels } from "./attention_heads.ts";

/**
 * 64 threads of 4 × 4 make blocks of 32 × 32: at most 9 KiB of workgroup memory, 4 · D / 8 registers
 * of sums a thread, and short sequences waste little on the masked half.
 */
const ROW_LANES = 8, COLUMN_LANES = 8, ROW_TILE = 4, COLUMN_QUADS = 1;

/** Rows of a workgroup. */
export const BLOCK_ROWS = ROW_LANES * ROW_TILE;

/** The constants of shaders/lib/attention_tile.wgsl. */
export function tileConstants(headSize: number): Record<string, number> {
  return { HEAD_QUADS: headSize / 4, ROW_LANES, COLUMN_LANES, ROW_TILE, COLUMN_QUADS };
}

export function tiledKernels(name: string, code: string): AttentionKernels {
  return new AttentionKernels(name, tile, code);
}

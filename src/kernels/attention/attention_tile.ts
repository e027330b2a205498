/** Attention for graphics cards: a grid of threads computes blocks of rows and columns. */
import type { Walk } from "./attention_heads.ts";
import { type KernelByFormat, kernelByFormat } from "../format.ts";

type KernelOptions = NonNullable<Parameters<typeof kernelByFormat>[2]>;

/** Columns of a block and quads of a row that workgroup memory holds, as in the WGSL. */
const BLOCK_COLUMNS = 64, CHUNK = 8;
/** Threads that share a row. */
export const LANES = 16;

/** Rows of a thread, and threads that share columns: constants of a kernel. */
type Tile = Readonly<Record<"ROWS" | "ROW_LANES", number>>;

/** Eight rows make most of each load; fewer where the sums would not fit 128 registers. */
const EIGHT: Tile = { ROWS: 8, ROW_LANES: 8 };
const FOUR: Tile = { ROWS: 4, ROW_LANES: 16 };
const TWO: Tile = { ROWS: 2, ROW_LANES: 16 };

/** By the quads of a head that a thread sums: 1 to 4, for heads of up to 64, 128, 192 and 256. */
const TILES = {
  forward: [EIGHT, FOUR, FOUR, FOUR],
  queries: [EIGHT, FOUR, FOUR, FOUR],
  keys: [FOUR, FOUR, TWO, TWO],
} as const;

/** A kernel for the heads of some sizes. */
export interface TiledKernel {
  readonly kernels: KernelByFormat;
  readonly constants: Tile & Readonly<Record<"HEAD_QUADS", number>>;
  /** Rows per workgroup. */
  readonly blockRows: number;
}

/** The kernels of a pass: forward, or backward over queries or keys; chosen by the head size. */
export function tiledKernels(
  pass: keyof typeof TILES,
  name: string,
  code: string,
  options: KernelOptions = {},
): (headSize: number) => TiledKernel {
  const made = TILES[pass].map((tile, i) => {
    const HEAD_QUADS = Array.from({ length: LANES }, (_, lane) => LANES * i + lane + 1);
    const constants = { HEAD_QUADS, ...tile, ...options.constants };
    return { tile, kernels: kernelByFormat(name, code, { ...options, constants }) };
  });
  return (headSize) => {
    const { tile, kernels } = made[Math.ceil(headSize / (4 * LANES)) - 1];
    const constants = { HEAD_QUADS: headSize / 4, ...tile };
    return { kernels, constants, blockRows: tile.ROWS * tile.ROW_LANES };
  };
}

/** For the longest of the three kernels, in which marked loops are unrolled. */
export function tiledWalk(headSize: number): Walk {
  const headQuads = headSize / 4, outQuads = Math.ceil(headQuads / LANES);
  const products = headQuads + Math.ceil(headQuads / CHUNK);
  const sums = LANES + LANES / Math.floor(CHUNK / outQuads);
  return { step: BLOCK_COLUMNS, rounds: 2 * products + 2 * sums + 1 };
}

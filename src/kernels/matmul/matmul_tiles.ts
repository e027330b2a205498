/** The family of tiles of matmul_tiled: one source, one result to the bit, several speeds. */
import type { MatmulShape } from "./matmul_blocks.ts";

/** Rows and columns of c that a workgroup computes. */
export type MatmulTile = "128x128" | "128x64" | "64x128" | "64x64";

/** The geometry of a tile: constants of the kernel. */
export interface TileSides {
  /** Rows of c. */
  readonly m: number;
  /** Columns of c. */
  readonly n: number;
}

/** Largest first. A workgroup has a thread for 64 elements. */
export const MATMUL_TILES: Readonly<Record<MatmulTile, TileSides>> = {
  "128x128": { m: 128, n: 128 },
  "128x64": { m: 128, n: 64 },
  "64x128": { m: 64, n: 128 },
  "64x64": { m: 64, n: 64 },
};

/** Chooses the tile of a product. */
export type TileChoice = (shape: MatmulShape) => MatmulTile;

/** Fewer workgroups leave parts of a large card idle, which costs more than a small tile. */
const ENOUGH = 256;

/** Workgroups that compute c (m, n). */
export function workgroupsOf(tile: MatmulTile, { m, n }: Pick<MatmulShape, "m" | "n">): number {
  const sides = MATMUL_TILES[tile];
  return Math.ceil(m / sides.m) * Math.ceil(n / sides.n);
}

/** The largest tile that gives a card enough workgroups: without measuring, for any card. */
export function tileByShape(shape: MatmulShape): MatmulTile {
  const tiles = Object.keys(MATMUL_TILES) as MatmulTile[];
  return tiles.find((tile) => workgroupsOf(tile, shape) >= ENOUGH) ?? "64x64";
}

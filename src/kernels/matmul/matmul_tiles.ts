/** The family of tiles of matmul_tiled: one source, one result to the bit, several speeds. */
import type { Limits } from "../../gpu/capabilities.ts";
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

/** Bytes of a block of eight rows or columns at four k and of its padding, and of NF4's tables. */
const BLOCK_BYTES = 128, PADDING_BYTES = 16, TABLE_BYTES = 1088;

/** Workgroup memory that a tile takes; see matmul_tiled.wgsl and nf4_table.wgsl. */
function workgroupBytes(tile: MatmulTile): number {
  const sides = MATMUL_TILES[tile], rows = sides.m + sides.n, halves = Math.floor(rows / 128);
  return (rows / 8) * (2 * halves * BLOCK_BYTES + PADDING_BYTES) + TABLE_BYTES;
}

/** A choice among the tiles that an adapter has the workgroup memory for: some have 16 KiB. */
export function tilesWithin(
  { maxComputeWorkgroupStorageSize: most }: Pick<Limits, "maxComputeWorkgroupStorageSize">,
  choose: TileChoice,
): TileChoice {
  return (shape) => {
    const tile = choose(shape);
    return workgroupBytes(tile) <= most ? tile : "128x64";
  };
}

/** The largest tile that gives a card enough workgroups: without measuring, for any card. */
export function tileByShape(shape: MatmulShape): MatmulTile {
  const tiles = Object.keys(MATMUL_TILES) as MatmulTile[];
  return tiles.find((tile) => workgroupsOf(tile, shape) >= ENOUGH) ?? "64x64";
}

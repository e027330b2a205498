/** The family of tiles of matmul_tiled: one source, one result to the bit, several speeds. */
import type { MatmulShape } from "./matmul_blocks.ts";

/** Rows and columns of c that a workgroup computes, 64 for each thread. */
export type MatmulTile = "64x64" | "64x128" | "128x64" | "128x128";

/** Chooses the tile of a product. */
export type TileChoice = (shape: MatmulShape) => MatmulTile;

/** Largest first. */
export const MATMUL_TILES: readonly MatmulTile[] = ["128x128", "128x64", "64x128", "64x64"];

/** Fewer workgroups leave parts of a large card idle, which costs more than a small tile. */
const ENOUGH = 256;

/** The sides of a tile, in elements. */
export function sidesOf(tile: MatmulTile): readonly [rows: number, columns: number] {
  const [rows, columns] = tile.split("x").map(Number);
  return [rows, columns];
}

/** Workgroups that compute c (m, n). */
export function workgroupsOf(tile: MatmulTile, { m, n }: Pick<MatmulShape, "m" | "n">): number {
  const [rows, columns] = sidesOf(tile);
  return Math.ceil(m / rows) * Math.ceil(n / columns);
}

/** The largest tile that gives a card enough workgroups: without measuring, for any card. */
export function tileByShape(shape: MatmulShape): MatmulTile {
  return MATMUL_TILES.find((tile) => workgroupsOf(tile, shape) >= ENOUGH) ?? "64x64";
}

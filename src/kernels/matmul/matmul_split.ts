/**
 * Products of few rows and columns but many terms (gradients of small matrices, a short prompt)
 * have too few tiles to keep a card busy. Their terms are split among workgroups, whose partial
 * sums are added in order. Whether and how depends on the shape alone, never on a measurement or
 * the tile, so that a product has the same bits on every run.
 */
import { padded } from "../../numbers/layout.ts";
import type { MatmulShape } from "./matmul_blocks.ts";
import { workgroupsOf } from "./matmul_tiles.ts";

/** Tiles of 64 x 64 beyond which more would gain nothing: some cards run as many at once. */
const ENOUGH = 512;
/** Fewer terms would cost more to write and add than to multiply. */
const LEAST_TERMS = 256;
/** Parts start at multiples of what a workgroup adds at a time. */
const STEP = 16;

/** How the terms of a product are split. */
export interface MatmulSplit {
  /** Number of parts; 1 if the product is not split. */
  readonly parts: number;
  /** Terms of each part but the last, which may have fewer. */
  readonly terms: number;
}

/** The split of a product. */
export function splitOf(shape: MatmulShape): MatmulSplit {
  const wanted = Math.min(
    Math.floor(ENOUGH / workgroupsOf("64x64", shape)),
    Math.floor(shape.k / LEAST_TERMS),
  );
  const terms = Math.ceil(shape.k / Math.max(1, wanted) / STEP) * STEP;
  return { parts: Math.ceil(shape.k / terms), terms };
}

/** Float32 numbers of scratch memory that its partial sums take: at most 2,097,152. */
export function partialSums(shape: MatmulShape): number {
  const { parts } = splitOf(shape);
  return parts === 1 ? 0 : parts * shape.m * padded(shape.n);
}

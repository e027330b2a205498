/**
 * Heads and queries of which software adapters hold scores at a time. Of the 8 × 8 blocks of scores
 * that are not masked p and ds are kept in textures, and the gradients are products with them: they
 * are then computed once, where two kernels that keep nothing compute each twice.
 */
import type { Allocator, TextureTensor } from "../../gpu/allocator.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import { ranges } from "../ranges.ts";
import { groupWalks, type HeadShape, rowsPerWalk, type Walk } from "./attention_heads.ts";
import { MOST_COLUMNS, MOST_ROWS, PADDING, TEXELS } from "./attention_stage.ts";

/** Queries and keys of a block, as in the WGSL. */
export const SCORES_BLOCK = 8;

/**
 * A sum over the queries of a group loops twice for a block of them, and less than once more. The
 * kernels' other loops are over the keys of a sequence, which a texture's sides limit.
 */
const WALK: Walk = { step: SCORES_BLOCK, rounds: 3 };

/** Heads and queries whose scores are held at a time: parameters of the kernels. */
export interface Slice {
  /** Key/value heads, counted through the sequences. */
  readonly first_key_head: number;
  readonly key_heads: number;
  /** Heads of the group of each. */
  readonly first_member: number;
  readonly members: number;
  /** Queries of each of those. */
  readonly first_query: number;
  readonly end_query: number;
  /** 1 if dk and dv have the sums of earlier slices. */
  readonly accumulate: number;
}

/** A texture of scores: a texel for a key and four queries of a head. */
export function scoresTexture(
  allocator: Allocator,
  name: string,
  { batch, length, heads }: { batch: number; length: number; heads: number },
): TextureTensor {
  const blocks = blocksOf(length), width = Math.min(SCORES_BLOCK * blocks + PADDING, MOST_COLUMNS);
  const rowsOfBlocks = Math.floor(Math.min(MOST_ROWS, TEXELS / width) / 2);
  return allocator.texture({
    name: `attention.${name}`,
    width,
    height: 2 * Math.min(batch * heads * blocks, rowsOfBlocks),
    format: "rgba32float",
    purpose: "workspace",
  });
}

/** The slices of some sequences. Throws {@link ShapeError} if the texture is too narrow for one. */
export function* slices(
  pass: KernelPass,
  scores: TextureTensor,
  { heads, keyValueHeads, length }: HeadShape & { readonly length: number },
  sequences: number,
): Generator<Slice> {
  const keys = SCORES_BLOCK * blocksOf(length), held = 4 * scores.height;
  if (keys > scores.width) {
    throw new ShapeError(
      `attentionBackward: the workspace holds scores of ${scores.width} keys, ${keys} are needed`,
      "was it made for shorter sequences?",
    );
  }
  const most = Math.min(rowsPerWalk(pass, WALK), held);
  for (const { end_member, ...walk } of groupWalks(heads / keyValueHeads, length, WALK, most)) {
    const members = end_member - walk.first_member;
    const queries = SCORES_BLOCK * blocksOf(walk.end_query - walk.first_query);
    const atOnce = Math.floor(held / (members * queries));
    for (const { start, end } of ranges(sequences * keyValueHeads, atOnce)) {
      yield { ...walk, members, first_key_head: start, key_heads: end - start };
    }
  }
}

/** Blocks of so many rows. */
export function blocksOf(rows: number): number {
  return Math.ceil(rows / SCORES_BLOCK);
}

/**
 * Heads and queries of which software adapters hold scores at a time. Of the 8 × 8 blocks of scores
 * that are not masked p and ds are kept in textures, and the gradients are products with them: they
 * are then computed once, where two kernels that keep nothing compute each twice.
 */
import type { Allocator, TextureTensor } from "../../gpu/allocator.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import { ranges } from "../ranges.ts";
import { groupWalks, type HeadShape } from "./attention_heads.ts";
import type { AttentionWorkspace } from "./attention_operands.ts";
import { MOST_COLUMNS, MOST_ROWS, PADDING, TEXELS } from "./attention_stage.ts";

/** Queries and keys of a block, as in the WGSL. */
export const SCORES_BLOCK = 8;

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
  /** 1 if no later slice adds to dk and dv. */
  readonly last: number;
}

/** What is kept between the dispatches of the backward pass. */
type AttentionScores = Omit<NonNullable<AttentionWorkspace["backward"]>, "dout">;

/** Textures of `texels` at most, and sums if the heads that share keys do not fit them together. */
export function createScores(
  allocator: Allocator,
  { batch, length, heads, keyValueHeads, headSize }: HeadShape & {
    readonly batch: number;
    readonly length: number;
  },
  texels = TEXELS,
): AttentionScores {
  const blocks = blocksOf(length), width = Math.min(SCORES_BLOCK * blocks + PADDING, MOST_COLUMNS);
  const rowsOfBlocks = Math.floor(Math.min(MOST_ROWS, texels / width) / 2);
  const height = 2 * Math.min(batch * heads * blocks, rowsOfBlocks);
  const texture = (name: string): TextureTensor =>
    allocator.texture({
      name: `attention.${name}`,
      ...{ width, height, format: "rgba32float", purpose: "workspace" },
    });
  const together = blocks * heads / keyValueHeads <= height / 2;
  const sums = (name: string) =>
    allocator.tensor({
      name: `attention.${name}`,
      shape: [together ? 1 : length * headSize],
      ...{ dtype: "float32", purpose: "workspace" },
    });
  return { p: texture("p"), ds: texture("ds"), dk: sums("dk"), dv: sums("dv") };
}

/**
 * The slices of some sequences: of as many key/value heads as fit with all queries of their groups,
 * else of one after the other. Throws {@link ShapeError} if they were made for another shape.
 */
export function* slices(
  { p, dk }: AttentionScores,
  { heads, keyValueHeads, headSize, length }: HeadShape & { readonly length: number },
  sequences: number,
): Generator<Slice> {
  const rows = SCORES_BLOCK * blocksOf(length), held = 4 * p.height;
  const group = heads / keyValueHeads;
  const walks = [...groupWalks(group, length, { step: SCORES_BLOCK }, evenly(group, rows, held))];
  const needed = { keys: rows, sums: walks.length > 1 ? length * headSize : 0 };
  for (const [what, has] of [["keys", p.width], ["sums", dk.shape[0]]] as const) {
    if (needed[what] <= has) continue;
    throw new ShapeError(
      `attentionBackward: the workspace holds ${has} ${what}, ${needed[what]} are needed`,
      "was it made for another model, or for shorter sequences?",
    );
  }
  const atOnce = walks.length > 1 ? 1 : Math.floor(held / (group * rows));
  for (const { start, end } of ranges(sequences * keyValueHeads, atOnce)) {
    for (const [i, { end_member, ...walk }] of walks.entries()) {
      yield {
        ...walk,
        members: end_member - walk.first_member,
        first_key_head: start,
        key_heads: end - start,
        last: i === walks.length - 1 ? 1 : 0,
      };
    }
  }
}

/** Blocks of so many rows. */
export function blocksOf(rows: number): number {
  return Math.ceil(rows / SCORES_BLOCK);
}

/** Rows of a walk, at most `held`, such that those of `group` times `rows` are about as long. */
function evenly(group: number, rows: number, held: number): number {
  const even = (count: number, most: number) => Math.ceil(count / Math.ceil(count / most));
  const members = Math.floor(held / rows);
  if (members > 0) return rows * even(group, members);
  return SCORES_BLOCK * even(rows / SCORES_BLOCK, Math.floor(held / SCORES_BLOCK));
}

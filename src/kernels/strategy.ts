/**
 * The strategy of kernels on an adapter, derived here from its capabilities. A kernel reads its
 * part of the strategy and never inspects the adapter; a new variant of a kernel adds a choice
 * here.
 */
import type { Capabilities } from "../gpu/capabilities.ts";

/** Operands of a matrix product: staged in textures, or read directly, in tiles. */
export type MatmulVariant = "texture" | "tiled";
/** Operands of attention: the same choice. */
export type AttentionVariant = "texture" | "tiled";

/** How kernels work on an adapter. */
export interface Strategy {
  /** Variant of matrix products. */
  readonly matmul: MatmulVariant;
  /** Variant of attention. */
  readonly attention: AttentionVariant;
  /** Threads that share a row, a quantisation group or a block, unless loop limits require more. */
  readonly rowLanes: number;
  /** Threads that share a quad of columns. */
  readonly columnLanes: number;
  /** Loop iterations that a thread may run in one dispatch; see {@link LOOP_ROUNDS}. */
  readonly loopRounds: number;
  /** Multiply-adds of attention that safely take less than a quarter of a second. */
  readonly attentionWork: number;
}

/**
 * Loop iterations, over all its loops, that a thread may run in one dispatch. Mesa's software
 * adapters silently end every loop of a thread after 65,535 (LP_MAX_TGSI_LOOP_ITERATIONS), which
 * gives wrong results. A multiple of 64; the remainder is for a kernel's small loops. Cards have no
 * such limit, so long loops are not split for it there. Kernels that are split anyway, to limit the
 * time of a dispatch, use this bound on every adapter.
 */
export const LOOP_ROUNDS = 61_440;

/** Threads are loops on a processor, barriers are expensive, and textures are the fastest loads. */
const SOFTWARE: Strategy = {
  matmul: "texture",
  attention: "texture",
  rowLanes: 1,
  columnLanes: 1,
  loopRounds: LOOP_ROUNDS,
  attentionWork: 2 ** 28,
};

/** Neighbouring threads read neighbouring addresses; eight quads fill a card's cache line. */
const CARD: Strategy = {
  matmul: "tiled",
  attention: "tiled",
  rowLanes: 32,
  columnLanes: 8,
  loopRounds: Infinity,
  attentionWork: 2 ** 35,
};

/** The strategy for an adapter. */
export function strategyFor({ software }: Pick<Capabilities, "software">): Strategy {
  return software ? SOFTWARE : CARD;
}

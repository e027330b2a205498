/**
 * How kernels work on an adapter, decided here from what it can do. A kernel asks for its part of
 * the strategy and never what the adapter is; a kernel that gets another way of working gets a
 * choice here.
 */
import type { Capabilities } from "../gpu/capabilities.ts";

/** Operands of a matrix product: staged in textures, or read where they lie, in tiles. */
export type MatmulVariant = "texture" | "tiled";
/** Operands of attention: the same choice. */
export type AttentionVariant = "texture" | "tiled";

export interface Strategy {
  readonly matmul: MatmulVariant;
  readonly attention: AttentionVariant;
  /** Threads that share a row, a quantisation group or a block, where one has the rounds for it. */
  readonly rowLanes: number;
  /** Threads that share a quad of columns. */
  readonly columnLanes: number;
  /** Rounds of loops that a thread may make in one dispatch; see {@link LOOP_ROUNDS}. */
  readonly loopRounds: number;
  /** Multiply-adds of attention that surely take less than a quarter of a second. */
  readonly attentionWork: number;
}

/**
 * Rounds of loops, over all its loops, that a thread may make in one dispatch. Mesa's software
 * adapters end every loop of a thread once it has made 65,535 (LP_MAX_TGSI_LOOP_ITERATIONS), and say
 * nothing: results are wrong. A multiple of 64; what is left is for a kernel's small loops. Cards
 * have no such limit, and long walks are not cut for it there. Kernels that are cut anyway, for the
 * time that a dispatch has, take this bound on every adapter.
 */
export const LOOP_ROUNDS = 61_440;

/** Threads are loops of a processor, barriers are dear, and textures are its fastest loads. */
const SOFTWARE: Strategy = {
  matmul: "texture",
  attention: "texture",
  rowLanes: 1,
  columnLanes: 1,
  loopRounds: LOOP_ROUNDS,
  attentionWork: 2 ** 28,
};

/** Neighbouring threads read neighbouring addresses: eight quads are a line of a card's cache. */
const CARD: Strategy = {
  matmul: "tiled",
  attention: "tiled",
  rowLanes: 32,
  columnLanes: 8,
  loopRounds: Infinity,
  attentionWork: 2 ** 35,
};

export function strategyFor({ software }: Pick<Capabilities, "software">): Strategy {
  return software ? SOFTWARE : CARD;
}

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
  /** Loads of a row, a group or a block that one thread processes before lanes share them. */
  readonly loadsPerLane: number;
  /** Whether threads have several loads under way at once, and keep them in registers. */
  readonly holds: boolean;
  /** Threads of a workgroup of lanes, at least. */
  readonly rowWorkgroup: number;
  /** Lanes that can hold a block of weights or moments, at least, if subgroups are that large. */
  readonly blockLanes: number;
  /** Whether threads of a norm process several rows, for which they load its weight once. */
  readonly groupsOfRows: boolean;
  /** Heads that one thread of RoPE turns, with the same cosines and sines. */
  readonly headsTogether: number;
  /** Octets of a row that one thread of an embedding takes, with the same token. */
  readonly octetsTogether: number;
  /** Elements that one dispatch of such a kernel processes. */
  readonly flatElements: number;
  /** Threads that share an octet of columns. */
  readonly columnLanes: number;
  /** Threads of their workgroups. */
  readonly columnWorkgroup: number;
  /** Parts by threads that sum up one tensor; see sum_parts.wgsl. */
  readonly sumThreads: number;
  /** Those of them that give one sum. */
  readonly sumLanes: number;
  /** Sums that one of them computes side by side, if they share none. */
  readonly sumStreams: number;
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
  loadsPerLane: Infinity,
  holds: false,
  rowWorkgroup: 8,
  blockLanes: 8,
  groupsOfRows: true,
  headsTogether: 1024,
  octetsTogether: 4,
  flatElements: 2 ** 23,
  columnLanes: 1,
  columnWorkgroup: 64,
  sumThreads: 64,
  sumLanes: 1,
  sumStreams: 4,
  loopRounds: LOOP_ROUNDS,
  attentionWork: 2 ** 28,
};

/** Neighbouring threads read neighbouring addresses, 16 bytes each, several at once. */
const CARD: Strategy = {
  matmul: "tiled",
  attention: "tiled",
  loadsPerLane: 4,
  holds: true,
  rowWorkgroup: 256,
  blockLanes: 1,
  groupsOfRows: false,
  headsTogether: 1,
  octetsTogether: 1,
  flatElements: 2 ** 25,
  columnLanes: 32,
  columnWorkgroup: 256,
  sumThreads: 2 ** 17,
  sumLanes: 256,
  sumStreams: 1,
  loopRounds: Infinity,
  attentionWork: 2 ** 35,
};

/** Every strategy; tests run kernels with each. */
export const STRATEGIES = { software: SOFTWARE, card: CARD };

/** The strategy for an adapter. */
export function strategyFor(
  { software, forced }: Pick<Capabilities, "software" | "forced">,
): Strategy {
  const strategy = software ? STRATEGIES.software : STRATEGIES.card;
  return forced ? { ...strategy, ...forced } : strategy;
}

/** The values of a number in all strategies: those of a kernel's constant. */
export function valuesOf(
  name: "columnLanes" | "columnWorkgroup" | "sumStreams" | "octetsTogether",
): readonly number[] {
  return [...new Set(Object.values(STRATEGIES).map((strategy) => strategy[name]))];
}

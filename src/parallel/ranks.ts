/**
 * Processes that train one model together, and what they say to each other. Each is a rank, from 0;
 * all of them call the same operations in the same order. Where one comes to another operation, or to
 * one of another length, both fail with a {@link UserError} that says where they are.
 */

/** Bytes that are best exchanged at once: fewer wait more often, more take more of a host's memory. */
export const PIECE_BYTES = 64 << 20;

/** Formats in which numbers travel: float32 by default. */
export type WireFormat = "float32" | "bfloat16";

/** Bytes of a number. */
export const WIRE_BYTES: Readonly<Record<WireFormat, number>> = { float32: 4, bfloat16: 2 };

/** Bytes that each of `size` ranks sends in a sum of so many numbers. */
export function sumBytes(numbers: number, size: number, format: WireFormat): number {
  return 2 * (size - 1) * WIRE_BYTES[format] * Math.ceil(numbers / size);
}

/** The processes of a run, as one of them sees them. */
export interface Ranks {
  /** Of this process, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** Bytes of content that this process has sent to others so far. */
  readonly sentBytes: number;
  /**
   * Replaces values by their sums over the ranks. They are added one by one in the order of the ranks,
   * whatever the network and the library: all ranks get the same bits, in every run. Values and sums
   * travel in `format`, and are added in float32.
   */
  sum(values: Float32Array<ArrayBuffer>, format?: WireFormat): Promise<void>;
  /**
   * Of values that are the shares of all ranks side by side, by rank, of so many each: replaces the own
   * share by its sum over the ranks, in their order. The others are left as they are.
   */
  sumShares(values: Float32Array<ArrayBuffer>, lengths: readonly number[]): Promise<void>;
  /** Of bytes that are the shares of all ranks side by side: replaces those of the others by theirs. */
  collectShares(bytes: Uint8Array<ArrayBuffer>, lengths: readonly number[]): Promise<void>;
  /** Replaces bytes by those of rank 0, which must be as many. */
  broadcast(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** What each rank gives, of any length, by rank; all receive all. */
  gather(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>[]>;
  /** Gives rank 0 the bytes of another rank, in the place of its own; the rest have as many. */
  give(bytes: Uint8Array<ArrayBuffer>, from: number): Promise<void>;
  /** After the last operation of every rank: leaves the others in peace, for good. */
  close(): Promise<void>;
}

/** A process by itself. */
export const ALONE: Ranks = {
  rank: 0,
  size: 1,
  sentBytes: 0,
  sum: () => Promise.resolve(),
  sumShares: () => Promise.resolve(),
  collectShares: () => Promise.resolve(),
  broadcast: () => Promise.resolve(),
  gather: (bytes) => Promise.resolve([bytes]),
  give: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** `rank 2`, `ranks 1 and 3`. */
export function ranksText(ranks: readonly number[]): string {
  const last = ranks.at(-1)!, before = ranks.slice(0, -1).join(", ");
  return before ? `ranks ${before} and ${last}` : `rank ${last}`;
}

/** What each rank says in words, by rank. */
export async function gatherText(ranks: Ranks, words: string): Promise<string[]> {
  const all = await ranks.gather(new TextEncoder().encode(words));
  return all.map((bytes) => new TextDecoder().decode(bytes));
}

/**
 * Processes that train one model together, and what they say to each other. Each is a rank, from 0;
 * all of them call the same operations in the same order.
 */

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
   * whatever the network and the library: all ranks get the same bits, in every run.
   */
  sum(values: Float32Array<ArrayBuffer>): Promise<void>;
  /** Replaces bytes by those of rank 0, which must be as many. */
  broadcast(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** What each rank gives, of any length, by rank; all receive all. */
  gather(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>[]>;
  /** After the last operation of every rank: leaves the others in peace. */
  close(): Promise<void>;
}

/** A process by itself. */
export const ALONE: Ranks = {
  rank: 0,
  size: 1,
  sentBytes: 0,
  sum: () => Promise.resolve(),
  broadcast: () => Promise.resolve(),
  gather: (bytes) => Promise.resolve([bytes]),
  close: () => Promise.resolve(),
};

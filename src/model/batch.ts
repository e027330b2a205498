/** The batch that every pass over the model takes. */

/** What a target says when there is nothing to predict; PyTorch's `ignore_index`. */
export const IGNORED = -100;

export interface Batch {
  readonly inputs: Uint32Array; // (B, T) ids
  /** The token after each input, or {@link IGNORED}. */
  readonly targets: Int32Array; // (B, T)
  /** Targets that are not ignored. */
  readonly tokens: number;
  /**
   * (B, T): the first key of its row that each position may attend to, which is where its own
   * example begins when a row holds several. Absent: 0 everywhere, plain causal attention.
   */
  readonly firstKeys?: Uint32Array;
}

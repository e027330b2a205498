/** The input of every pass over the model. */

/** Target where there is nothing to predict; PyTorch's `ignore_index`. */
export const IGNORED: -100 = -100;

export interface Batch {
  readonly inputs: Uint32Array; // (B, T) ids
  /** The token after each input, or {@link IGNORED}. */
  readonly targets: Int32Array; // (B, T)
  /** Targets that are not ignored. */
  readonly tokens: number;
  /**
   * (B, T): the first key of its row that each position may attend to: the start of its own example
   * when a row packs several. Absent: 0 everywhere, plain causal attention.
   */
  readonly firstKeys?: Uint32Array;
}

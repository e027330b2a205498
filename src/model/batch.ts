/** The input of every pass over the model. */

/** Target where there is nothing to predict; PyTorch's `ignore_index`. */
export const IGNORED: -100 = -100;

/** Token ids for one pass: B rows of T. */
export interface Batch {
  /** (B, T) ids. */
  readonly inputs: Uint32Array;
  /** (B, T): the token after each input, or {@link IGNORED}. */
  readonly targets: Int32Array;
  /** Targets that are not ignored. */
  readonly tokens: number;
  /**
   * (B, T): the first key of its row that each position may attend to: the start of its own example
   * when a row packs several. Absent: 0 everywhere, plain causal attention.
   */
  readonly firstKeys?: Uint32Array;
  /** Tokens of its longest row, where rows are padded. Absent: T. */
  readonly longest?: number;
}

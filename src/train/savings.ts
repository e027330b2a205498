/**
 * Options that save memory, one row each: what `memory --fit` tries, a refused run is advised, and
 * the dashboard offers. For which methods an option is valid its own rules say.
 *
 * @module
 */

/** An option that takes less memory than its default. */
export interface Saving {
  /** Its name. */
  readonly option: string;
  /** The value that saves. */
  readonly value: unknown;
  /** What it costs, for people. */
  readonly costs: string;
  /** A row above that it includes. */
  readonly includes?: string;
}

/** Cheapest first: each is tried on top of those before it. */
export const SAVINGS: readonly Saving[] = [
  { option: "shardStates", value: true, costs: "more bytes sent, with more than two processes" },
  { option: "activationCheckpointing", value: true, costs: "a third more arithmetic" },
  {
    option: "shardWeights",
    value: true,
    costs: "layers are sent in every batch",
    includes: "shardStates",
  },
  {
    option: "embeddingOptimizer",
    value: "adam_factored",
    costs: "second moments of rows and columns, not of weights",
  },
  { option: "offloadEmbedding", value: true, costs: "host memory, and slower samples" },
  {
    option: "accumulatorQuant",
    value: true,
    costs: "summed gradients rounded to 8 bits",
  },
  { option: "activationQuant", value: true, costs: "gradients off by some 3%" },
  { option: "adam4bit", value: true, costs: "moments of 4 bits" },
  { option: "embeddingQuant", value: true, costs: "embedding and head in INT8" },
  { option: "embedding4bit", value: true, costs: "embedding and head in 4 bits" },
];

/** How the next token is chosen, as transformers' logits processors do. */
import type { LogitBiases } from "./logit_biases.ts";

/**
 * How the next token is chosen. As in transformers, the repetition penalty and repeated n-grams come
 * first, then temperature, top-k, top-p and min-p; biases are around the first, as in vLLM.
 */
export interface SamplingOptions extends LogitBiases {
  /** 0 takes the most likely token. */
  readonly temperature: number;
  /** Keep the fewest tokens whose probabilities reach this sum (nucleus sampling). */
  readonly topP?: number;
  /** Keep the k most likely tokens, and those as likely as the last of them; 0 keeps all. */
  readonly topK?: number;
  /** Keep tokens of at least this share of the likeliest one's probability. */
  readonly minP?: number;
  /** Above 1, tokens that already occurred, in the prompt too, become less likely. */
  readonly repetitionPenalty?: number;
  /** No sequence of this many tokens occurs twice; 0 allows all. */
  readonly noRepeatNgramSize?: number;
}

/** A seeded stream of whole numbers below 2³²: the splitmix32 generator, whose state is a counter. */
export function randomBits(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}

/** A seeded stream of numbers in [0, 1). */
export function randomStream(seed: number): () => number {
  const next = randomBits(seed);
  return () => next() / 4294967296;
}

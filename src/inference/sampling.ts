/** Choosing the next token from a row of logits, as transformers' logits processors do. */
import { addLogitBias, type LogitBiases, type Logits, penaliseGenerated } from "./logit_biases.ts";

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

/**
 * The id of the token after `tokens`, of which the first `promptTokens` are the prompt, all unless
 * given. Overwrites `logits`; `random` is a number in [0, 1).
 */
export function nextToken(
  logits: Logits,
  tokens: readonly number[],
  options: SamplingOptions & { readonly promptTokens?: number },
  random: () => number,
): number {
  const { temperature, repetitionPenalty = 1, noRepeatNgramSize = 0 } = options;
  addLogitBias(logits, options);
  penalise(logits, tokens, repetitionPenalty);
  penaliseGenerated(logits, tokens.slice(options.promptTokens ?? tokens.length), options);
  forbidRepeats(logits, tokens, noRepeatNgramSize);
  if (temperature === 0) return argmax(logits);
  const { weights, id } = candidates(logits, options);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  let left = random() * sum, rank = 0;
  while (rank < weights.length - 1 && (left -= weights[rank]) >= 0) rank++;
  return id(rank);
}

/** The tokens that may come next, the likeliest first. */
export interface Candidates {
  /** Their probabilities up to a common factor, by rank. */
  readonly weights: Float64Array;
  /** The id of that rank; equally likely ones are ordered by id. */
  id(rank: number): number;
}

/**
 * The filters in transformers' order: temperature, top-k, top-p, min-p; the likeliest token always
 * stays. Holtzman et al. 2020 for top-p, Nguyen et al. 2024 for min-p.
 */
export function candidates(
  logits: Logits,
  { temperature, topK = 0, topP = 1, minP = 0 }: Omit<SamplingOptions, "repetitionPenalty">,
): Candidates {
  // Sort values only: natively, a vocabulary takes milliseconds.
  const sorted = logits.slice().sort().reverse();
  let kept = sorted.length;
  if (topK > 0 && topK < kept) kept = countWhile(sorted, topK, (it) => it === sorted[topK - 1]);
  const weights = Float64Array.from(
    sorted.subarray(0, kept),
    (logit) => Math.exp((logit - sorted[0]) / temperature),
  );
  if (topP < 1) {
    const enough = topP * weights.reduce((total, weight) => total + weight, 0);
    let sum = weights[0];
    kept = countWhile(weights, 1, (weight) => {
      const short = sum < enough;
      sum += weight;
      return short;
    });
  }
  // The likeliest has the weight 1.
  if (minP > 0) kept = countWhile(weights.subarray(0, kept), 1, (weight) => weight >= minP);
  return { weights: weights.subarray(0, kept), id: (rank) => idAt(logits, sorted, rank) };
}

/** How many values there are from the first to the last for which it holds, after `from` others. */
function countWhile(values: Logits, from: number, holds: (value: number) => boolean): number {
  let count = from;
  while (count < values.length && holds(values[count])) count++;
  return count;
}

function idAt(logits: Logits, sorted: Logits, rank: number): number {
  const value = sorted[rank];
  let before = rank - sorted.indexOf(value), id = logits.indexOf(value);
  while (before-- > 0) id = logits.indexOf(value, id + 1);
  return id;
}

/**
 * Divides the positive logits of these tokens by the penalty and multiplies the negative ones with
 * it, in place, each token once (Keskar et al. 2019).
 */
export function penalise(logits: Logits, tokens: Iterable<number>, penalty: number): void {
  if (penalty === 1) return;
  for (const id of new Set(tokens)) {
    logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
  }
}

/** Excludes, in place, every token that would complete a sequence of `size` that has occurred. */
export function forbidRepeats(logits: Logits, tokens: readonly number[], size: number): void {
  if (size === 0) return;
  const start = tokens.length - (size - 1); // of the sequence that the next token completes
  for (let at = 0; at + size <= tokens.length; at++) {
    let same = 0;
    while (same < size - 1 && tokens[at + same] === tokens[start + same]) same++;
    if (same === size - 1) logits[tokens[at + same]] = -Infinity;
  }
}

function argmax(values: Logits): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** A seeded stream of numbers in [0, 1): the splitmix32 generator. */
export function randomStream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 4294967296;
  };
}

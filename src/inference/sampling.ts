/** Choosing the next token from a row of logits. */

export interface SamplingOptions {
  /** 0 takes the most likely token. */
  readonly temperature: number;
  /** Keep the fewest tokens whose probabilities reach this sum (nucleus sampling). */
  readonly topP?: number;
  /** Keep the k most likely tokens. */
  readonly topK?: number;
  /** Above 1, tokens that already occurred become less likely; see {@link penalise}. */
  readonly repetitionPenalty?: number;
}

/**
 * One token id. The order of the filters is transformers': temperature, top-k, top-p; `random` is
 * a number in [0, 1). Holtzman et al. 2020 for the nucleus.
 */
export function sampleToken(
  logits: Float32Array,
  { temperature, topP = 1, topK = 0 }: SamplingOptions,
  random: () => number,
): number {
  if (temperature === 0) return argmax(logits);
  // Sort values only: natively, a vocabulary takes milliseconds.
  const sorted = Float32Array.from(logits).sort().reverse();
  const kept = topK > 0 ? Math.min(topK, sorted.length) : sorted.length;
  const weights = new Float64Array(kept);
  let total = 0;
  for (let i = 0; i < kept; i++) {
    total += weights[i] = Math.exp((sorted[i] - sorted[0]) / temperature);
  }
  let nucleus = 0, sum = 0;
  while (nucleus < kept && (nucleus === 0 || sum < topP * total)) sum += weights[nucleus++];
  let left = random() * sum, rank = 0;
  while (rank < nucleus - 1 && (left -= weights[rank]) >= 0) rank++;
  return idAt(logits, sorted, rank);
}

/** The id of that rank, 0 being the likeliest; equal ones are ordered by id. */
function idAt(logits: Float32Array, sorted: Float32Array, rank: number): number {
  const value = sorted[rank];
  let before = rank - sorted.indexOf(value), id = logits.indexOf(value);
  while (before-- > 0) id = logits.indexOf(value, id + 1);
  return id;
}

/**
 * Divides the positive logits of these tokens by the penalty and multiplies the negative ones with
 * it, in place, each token once (Keskar et al. 2019, as in transformers).
 */
export function penalise(logits: Float32Array, tokens: Iterable<number>, penalty: number): void {
  if (penalty === 1) return;
  for (const id of new Set(tokens)) {
    logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
  }
}

function argmax(values: Float32Array): number {
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

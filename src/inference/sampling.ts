/** Choosing the next token from a row of logits. */

export interface SamplingOptions {
  /** 0 takes the most likely token. */
  readonly temperature: number;
  /** Keep the fewest tokens whose probabilities reach this sum (nucleus sampling). */
  readonly topP?: number;
  /** Keep the k most likely tokens. */
  readonly topK?: number;
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
  const order = Uint32Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
  const kept = topK > 0 ? Math.min(topK, order.length) : order.length;
  const weights = new Float64Array(kept);
  const largest = logits[order[0]];
  let total = 0;
  for (let i = 0; i < kept; i++) {
    total += weights[i] = Math.exp((logits[order[i]] - largest) / temperature);
  }
  let nucleus = 0, sum = 0;
  while (nucleus < kept && (nucleus === 0 || sum < topP * total)) sum += weights[nucleus++];
  let left = random() * sum;
  for (let i = 0; i < nucleus; i++) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[nucleus - 1];
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

/** How the next token is chosen. */
export interface Choice {
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
}

/** A token that may be chosen, with its weight: its probability up to a common factor. */
export interface Candidate {
  readonly id: number;
  readonly weight: number;
}

/**
 * The tokens that may come next, the likeliest first, equally likely ones by id, in float64. The
 * filters are those of transformers, in its order: temperature, top-k, top-p, min-p.
 */
export function candidates(
  logits: ArrayLike<number>,
  { temperature, topK = 0, topP = 1, minP = 0 }: Choice,
): Candidate[] {
  const ids = Array.from({ length: logits.length }, (_, id) => id);
  ids.sort((a, b) => logits[b] - logits[a] || a - b);
  const largest = logits[ids[0]];
  if (temperature === 0) return [{ id: ids[0], weight: 1 }];
  if (topK > 0 && topK < ids.length) {
    const last = logits[ids[topK - 1]];
    ids.length = ids.findLastIndex((id) => logits[id] === last) + 1;
  }
  let all = ids.map((id) => ({ id, weight: Math.exp((logits[id] - largest) / temperature) }));
  if (topP < 1) {
    const enough = topP * total(all);
    let sum = 0;
    all = all.filter(({ weight }, rank) => {
      const kept = rank === 0 || sum < enough;
      sum += weight;
      return kept;
    });
  }
  return all.filter(({ weight }, rank) => rank === 0 || weight >= minP);
}

export function total(all: readonly Candidate[]): number {
  return all.reduce((sum, { weight }) => sum + weight, 0);
}

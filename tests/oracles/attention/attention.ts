export interface AttentionShape {
  readonly batch: number;
  readonly queryLength: number;
  readonly keyLength: number;
  readonly keyCapacity: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
}

export interface MaskedAttentionShape extends AttentionShape {
  /** (B·Tq): the first key of its sequence that a query sees; 0 without. */
  readonly firstKeys?: ArrayLike<number>;
}

/** Visits every query of every head with the keys it sees: offsets of their vectors. */
export function forEachRow(
  shape: MaskedAttentionShape,
  visitRow: (row: { q: number; statistic: number }, keys: number[]) => void,
): void {
  const { batch, queryLength, keyLength, keyCapacity, heads, keyValueHeads, headSize } = shape;
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < queryLength; i++) {
      for (let h = 0; h < heads; h++) {
        const row = b * queryLength + i;
        const keyHead = Math.floor(h / (heads / keyValueHeads));
        const first = shape.firstKeys?.[row] ?? 0;
        const keys = Array.from(
          { length: i + keyLength - queryLength + 1 - first },
          (_, j) => ((b * keyCapacity + first + j) * keyValueHeads + keyHead) * headSize,
        );
        visitRow({ q: (row * heads + h) * headSize, statistic: row * heads + h }, keys);
      }
    }
  }
}

/** Scores, their softmax and the weighted values, all in float64. */
export function attention(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  shape: MaskedAttentionShape,
) {
  const { headSize } = shape;
  const out = new Float64Array(q.length), logsumexp = new Float64Array(q.length / headSize);
  forEachRow(shape, (row, keys) => {
    const scores = keys.map((key) => {
      let dot = 0;
      for (let d = 0; d < headSize; d++) dot += q[row.q + d] * k[key + d];
      return dot / Math.sqrt(headSize);
    });
    const highest = scores.reduce((a, b) => Math.max(a, b));
    const total = scores.reduce((sum, score) => sum + Math.exp(score - highest), 0);
    logsumexp[row.statistic] = highest + Math.log(total);
    keys.forEach((key, j) => {
      const probability = Math.exp(scores[j] - highest) / total;
      for (let d = 0; d < headSize; d++) out[row.q + d] += probability * v[key + d];
    });
  });
  return { out, logsumexp };
}

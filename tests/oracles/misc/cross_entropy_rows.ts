/**
 * dlogits (n, R) of the tokens of the vocabulary from `first` on, in float64; rows with a negative
 * label are ignored.
 */
export function crossEntropyRows(
  logits: ArrayLike<number>,
  { first, labels, logsumexp, gradScale, weights }: {
    first: number;
    labels: ArrayLike<number>;
    logsumexp: ArrayLike<number>;
    gradScale: number;
    weights: ArrayLike<number>;
  },
): Float64Array {
  const rows = labels.length, columns = logits.length / rows;
  return Float64Array.from({ length: rows * columns }, (_, i) => {
    const n = Math.floor(i / columns), token = first + i % columns;
    if (labels[n] < 0) return 0;
    const probability = Math.exp(logits[i] - logsumexp[n]);
    return gradScale * weights[n] * (probability - (token === labels[n] ? 1 : 0));
  });
}

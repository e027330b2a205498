/** Losses, logsumexp and dlogits, in float64; rows with a negative label are ignored: zero. */
export function crossEntropy(
  logits: ArrayLike<number>,
  labels: ArrayLike<number>,
  gradScale: number,
  weights: ArrayLike<number> = new Float64Array(labels.length).fill(1),
) {
  const rows = labels.length, columns = logits.length / rows;
  const losses = new Float64Array(rows), dlogits = new Float64Array(logits.length);
  const logsumexp = new Float64Array(rows);
  for (let n = 0; n < rows; n++) {
    if (labels[n] < 0) continue;
    const row = Float64Array.from({ length: columns }, (_, v) => logits[n * columns + v]);
    const maximum = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const total = row.reduce((sum, z) => sum + Math.exp(z - maximum), 0);
    logsumexp[n] = maximum + Math.log(total);
    losses[n] = weights[n] * (logsumexp[n] - row[labels[n]]);
    for (let v = 0; v < columns; v++) {
      const probability = Math.exp(row[v] - maximum) / total;
      dlogits[n * columns + v] = gradScale * weights[n] * (probability - (v === labels[n] ? 1 : 0));
    }
  }
  return { losses, logsumexp, dlogits };
}

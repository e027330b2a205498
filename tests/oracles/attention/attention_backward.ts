import { forEachRow, type MaskedAttentionShape } from "./attention.ts";

/** The gradients of attention by the chain rule through the softmax, in float64. */
export function attentionBackward(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  dout: ArrayLike<number>,
  shape: MaskedAttentionShape,
) {
  const { headSize } = shape;
  const scale = 1 / Math.sqrt(headSize);
  const dot = (a: ArrayLike<number>, at: number, b: ArrayLike<number>, bt: number) => {
    let sum = 0;
    for (let d = 0; d < headSize; d++) sum += a[at + d] * b[bt + d];
    return sum;
  };
  const dq = new Float64Array(q.length);
  const dk = new Float64Array(k.length), dv = new Float64Array(v.length);
  forEachRow(shape, (row, keys) => {
    const scores = keys.map((key) => scale * dot(q, row.q, k, key));
    const highest = scores.reduce((a, b) => Math.max(a, b));
    const weights = scores.map((score) => Math.exp(score - highest));
    const total = weights.reduce((a, b) => a + b);
    const p = weights.map((weight) => weight / total);
    const dp = keys.map((key) => dot(dout, row.q, v, key));
    const mean = p.reduce((sum, probability, j) => sum + probability * dp[j], 0);
    keys.forEach((key, j) => {
      const ds = p[j] * (dp[j] - mean) * scale;
      for (let d = 0; d < headSize; d++) {
        dq[row.q + d] += ds * k[key + d];
        dk[key + d] += ds * q[row.q + d];
        dv[key + d] += p[j] * dout[row.q + d];
      }
    });
  });
  return { dq, dk, dv };
}

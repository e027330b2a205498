/** c = alpha · op(a) · op(b) [+ c] [+ residual] in float64 plain loops; T turns an operand. */
export function matmul(
  layout: "NT" | "NN" | "TN",
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  { m, n, k }: { m: number; n: number; k: number },
  { alpha = 1, c, residual }: {
    alpha?: number;
    c?: ArrayLike<number>;
    residual?: ArrayLike<number>;
  } = {},
): Float64Array {
  const out = new Float64Array(m * n);
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      let sum = 0;
      for (let i = 0; i < k; i++) {
        sum += (layout === "TN" ? a[i * m + row] : a[row * k + i]) *
          (layout === "NT" ? b[column * k + i] : b[i * n + column]);
      }
      const at = row * n + column;
      out[at] = alpha * sum + (c ? c[at] : 0) + (residual ? residual[at] : 0);
    }
  }
  return out;
}

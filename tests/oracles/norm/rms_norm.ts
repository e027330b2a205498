/** y = (weight + offset) · x · rstd in float64 plain loops. */
export function rmsNorm(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  rows: number,
  eps: number,
  offset = 0,
) {
  const columns = weight.length;
  const y = new Float64Array(x.length), rstd = new Float64Array(rows);
  for (let n = 0; n < rows; n++) {
    let squares = 0;
    for (let c = 0; c < columns; c++) squares += x[n * columns + c] ** 2;
    rstd[n] = 1 / Math.sqrt(squares / columns + eps);
    for (let c = 0; c < columns; c++) {
      y[n * columns + c] = (weight[c] + offset) * x[n * columns + c] * rstd[n];
    }
  }
  return { y, rstd };
}

/**
 * The gradients of y = (weight + offset) · x · rstd(x) by its Jacobian, in float64:
 * ∂y_i/∂x_j = (weight_i + offset) · rstd · (δ_ij − x_i · x_j · rstd² / C).
 */
export function rmsNormBackward(
  dy: ArrayLike<number>,
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  eps: number,
  offset = 0,
) {
  const columns = weight.length, rows = x.length / columns;
  const dx = new Float64Array(x.length), dweight = new Float64Array(columns);
  for (let n = 0; n < rows; n++) {
    const at = n * columns;
    let squares = 0, dot = 0;
    for (let c = 0; c < columns; c++) {
      squares += x[at + c] ** 2;
      dot += dy[at + c] * (weight[c] + offset) * x[at + c];
    }
    const rstd = 1 / Math.sqrt(squares / columns + eps);
    for (let c = 0; c < columns; c++) {
      const g = dy[at + c] * (weight[c] + offset);
      dx[at + c] = rstd * (g - x[at + c] * dot * rstd ** 2 / columns);
      dweight[c] += dy[at + c] * x[at + c] * rstd;
    }
  }
  return { dx, dweight };
}

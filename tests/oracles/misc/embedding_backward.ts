/** dweight + scale · Σ dx over the positions of each token, in float64; dweight is not changed. */
export function embeddingBackward(
  tokens: ArrayLike<number>,
  dx: ArrayLike<number>,
  dweight: ArrayLike<number>,
  scale = 1,
): Float64Array {
  const columns = dx.length / tokens.length;
  const sum = Float64Array.from(dweight);
  for (let n = 0; n < tokens.length; n++) {
    for (let c = 0; c < columns; c++) sum[tokens[n] * columns + c] += scale * dx[n * columns + c];
  }
  return sum;
}

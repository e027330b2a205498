/** The inverse of the Cholesky factor of a positive definite matrix, in float64, by rows. */
export function inverseCholesky(matrix: ArrayLike<number>, size: number): Float64Array {
  const factor = new Float64Array(size * size), inverse = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = matrix[i * size + j];
      for (let k = 0; k < j; k++) rest -= factor[i * size + k] * factor[j * size + k];
      factor[i * size + j] = i === j ? Math.sqrt(rest) : rest / factor[j * size + j];
    }
    for (let j = 0; j <= i; j++) {
      let rest = i === j ? 1 : 0;
      for (let k = j; k < i; k++) rest -= factor[i * size + k] * inverse[k * size + j];
      inverse[i * size + j] = rest / factor[i * size + i];
    }
  }
  return inverse;
}

/** A (size, size) matrix over its trace, in float64; zeros stay zeros. */
export function divideByTrace(matrix: ArrayLike<number>, size: number): Float64Array {
  let trace = 0;
  for (let i = 0; i < size; i++) trace += matrix[i * size + i];
  return Float64Array.from(matrix, (value) => trace > 0 ? value / trace : value);
}

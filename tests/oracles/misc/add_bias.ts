/** y + bias for every row, in float64; y is not changed. */
export function addBias(y: ArrayLike<number>, bias: ArrayLike<number>): Float64Array {
  return Float64Array.from(y, (value, i) => value + bias[i % bias.length]);
}

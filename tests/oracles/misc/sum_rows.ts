/** Σ over the rows of a (G, C) matrix, in float64. */
export function sumRows(x: ArrayLike<number>, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  for (let i = 0; i < x.length; i++) sums[i % columns] += x[i];
  return sums;
}

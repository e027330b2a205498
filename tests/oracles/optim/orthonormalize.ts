/** Gram–Schmidt over rows in order, in float64; dependent rows become zero. */
import { dot } from "../svd.ts";

export function orthonormalize(matrix: ArrayLike<number>, columns: number): Float64Array {
  const result = Float64Array.from(matrix);
  for (let start = 0; start < result.length; start += columns) {
    const row = result.subarray(start, start + columns), before = Math.sqrt(dot(row, row));
    for (let pass = 0; pass < 2; pass++) {
      for (let other = 0; other < start; other += columns) {
        const earlier = result.subarray(other, other + columns), along = dot(row, earlier);
        for (let i = 0; i < columns; i++) row[i] -= along * earlier[i];
      }
    }
    const length = Math.sqrt(dot(row, row));
    for (let i = 0; i < columns; i++) row[i] = length > 1e-12 * before ? row[i] / length : 0;
  }
  return result;
}

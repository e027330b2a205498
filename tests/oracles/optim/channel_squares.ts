/** Sums of squares of the rows, or columns, of a matrix, in float64. */
export function channelSquares(
  x: ArrayLike<number>,
  columns: number,
  channels: "rows" | "columns",
): Float64Array {
  const sums = new Float64Array(channels === "rows" ? x.length / columns : columns);
  for (let i = 0; i < x.length; i++) {
    sums[channels === "rows" ? Math.floor(i / columns) : i % columns] += x[i] ** 2;
  }
  return sums;
}

/** Matrix products on the host, for what is done once. */

/** sum (m, n) += scale · left·right, of left (m, rank) and right (rank, n): each value rounded once. */
export function addProduct(
  sum: Float32Array,
  { left, right, rank, scale }: {
    readonly left: Float32Array;
    readonly right: Float32Array;
    readonly rank: number;
    readonly scale: number;
  },
): void {
  const columns = right.length / rank, row = new Float64Array(columns);
  for (let i = 0; i < sum.length / columns; i++) {
    row.set(sum.subarray(i * columns, (i + 1) * columns));
    for (let k = 0; k < rank; k++) {
      const factor = scale * left[i * rank + k], from = k * columns;
      for (let j = 0; j < columns; j++) row[j] += factor * right[from + j];
    }
    sum.set(row, i * columns);
  }
}

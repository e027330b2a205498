/** op(values)[r][k] for a range of rows and of k, row-major, zero-padded to `width`. */
export function matmulStage(
  values: ArrayLike<number>,
  columns: number,
  transposed: boolean,
  rows: { start: number; end: number },
  k: { start: number; end: number },
  width: number,
): Float64Array {
  const out = new Float64Array((rows.end - rows.start) * width);
  for (let r = rows.start; r < rows.end; r++) {
    for (let i = k.start; i < k.end; i++) {
      out[(r - rows.start) * width + i - k.start] = transposed
        ? values[i * columns + r]
        : values[r * columns + i];
    }
  }
  return out;
}

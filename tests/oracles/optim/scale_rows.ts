/** row / max |row|; rows of zeros stay zero. */
export function scaleRows(matrix: Float32Array, columns: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(matrix);
  for (let start = 0; start < result.length; start += columns) {
    const row = result.subarray(start, start + columns);
    const most = row.reduce((largest, each) => Math.max(largest, Math.abs(each)), 0);
    if (most) row.forEach((value, i) => row[i] = value / most);
  }
  return result;
}

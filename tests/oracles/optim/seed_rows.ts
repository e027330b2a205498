/** Normal numbers in the rows from `first` on, and in rows of zeros before it. */
import { randomNormalQuad } from "../misc/random_normal.ts";

export function seedRows(
  matrix: Float32Array,
  columns: number,
  first: number,
  { seed, step, tensor }: { seed: number; step: number; tensor: number },
): Float64Array {
  const stride = Math.ceil(columns / 8) * 8;
  return Float64Array.from(matrix, (value, i) => {
    const row = Math.floor(i / columns), column = i % columns;
    const held = matrix.subarray(row * columns, (row + 1) * columns).some((each) => each !== 0);
    if (row < first && held) return value;
    const quad = Math.floor((row * stride + column) / 4);
    return randomNormalQuad((seed ^ 0x9e3779b9) >>> 0, step, tensor, quad)[column % 4];
  });
}

/** Adam-mini's step with a row per token (Zhang et al. 2024), m in 8 bits, in float64 and by tables. */
import type { AdamOptions } from "./adam.ts";
import { dynamicMap, encodeBlocks } from "./adam_blockwise.ts";

export interface StateMini {
  m: Uint8Array;
  absmaxM: Float64Array;
  v: Float64Array;
}

const SIGNED = dynamicMap(true), BLOCK = 256;

/** The update of one step, of rows of stored elements; the state is overwritten. */
export function adamMini(
  gradient: ArrayLike<number>,
  { m: codes, absmaxM, v }: StateMini,
  { columns, step, lr, beta1, beta2, eps }: AdamOptions & { columns: number },
): Float64Array {
  const update = new Float64Array(gradient.length), stride = gradient.length / v.length;
  const blocks = absmaxM.length / v.length;
  for (let row = 0; row < v.length; row++) {
    const first = row * stride;
    const g = Float64Array.from({ length: stride }, (_, i) => gradient[first + i]);
    const mean = g.reduce((sum, value) => sum + value * value, 0) / columns;
    v[row] = beta2 * v[row] + (1 - beta2) * mean;
    const own = codes.subarray(first, first + stride);
    const absmax = absmaxM.subarray(row * blocks, (row + 1) * blocks);
    const m = Float64Array.from(
      own,
      (code, i) => beta1 * SIGNED[code] * absmax[Math.floor(i / BLOCK)] + (1 - beta1) * g[i],
    );
    const vHat = v[row] / (1 - beta2 ** step);
    m.forEach((value, i) => {
      const mHat = value / (1 - beta1 ** step);
      update[first + i] = (-lr * mHat) / (Math.sqrt(vHat) + eps);
    });
    encodeBlocks(m, SIGNED, own, absmax);
  }
  return update;
}

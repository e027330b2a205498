/**
 * Adam's step with a factored second moment (Shazeer & Stern 2018), m in 8 bits, in float64 and by
 * tables.
 */
import type { AdamOptions } from "./adam.ts";
import { dynamicMap, encodeBlocks } from "./adam_blockwise.ts";

export interface StateFactored {
  m: Uint8Array;
  absmaxM: Float64Array;
  v: Float64Array;
  columns: Float64Array;
}

const SIGNED = dynamicMap(true), BLOCK = 256;

/** The update of one step, of rows of stored elements; the state is overwritten. */
export function adamFactored(
  gradient: ArrayLike<number>,
  { m: codes, absmaxM, v, columns }: StateFactored,
  { width, step, lr, beta1, beta2, eps }: AdamOptions & { width: number },
): Float64Array {
  const update = new Float64Array(gradient.length), stride = gradient.length / v.length;
  const blocks = absmaxM.length / v.length;
  columns.forEach((old, at) => {
    const j = at % stride, first = 256 * Math.floor(at / stride);
    const end = Math.min(first + 256, v.length);
    let squares = 0;
    for (let row = first; row < end; row++) squares += gradient[row * stride + j] ** 2;
    columns[at] = beta2 * old + (1 - beta2) * squares / (end - first);
  });
  for (let row = 0; row < v.length; row++) {
    const first = row * stride, around = Math.floor(row / 256) * stride;
    const g = Float64Array.from({ length: stride }, (_, i) => gradient[first + i]);
    const c = Float64Array.from({ length: stride }, (_, i) => columns[around + i]);
    const meanOf = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / width;
    v[row] = beta2 * v[row] + (1 - beta2) * meanOf(g.map((value) => value * value));
    const own = codes.subarray(first, first + stride);
    const absmax = absmaxM.subarray(row * blocks, (row + 1) * blocks);
    const m = Float64Array.from(
      own,
      (code, i) => beta1 * SIGNED[code] * absmax[Math.floor(i / BLOCK)] + (1 - beta1) * g[i],
    );
    m.forEach((value, i) => {
      const second = v[row] > 0 ? v[row] * c[i] / meanOf(c) : 0;
      const mHat = value / (1 - beta1 ** step), vHat = second / (1 - beta2 ** step);
      update[first + i] = (-lr * mHat) / (Math.sqrt(vHat) + eps);
    });
    encodeBlocks(m, SIGNED, own, absmax);
  }
  return update;
}

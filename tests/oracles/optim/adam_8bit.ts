/**
 * Adam's step with 8-bit block-wise moments, by tables and nearest search as in bitsandbytes
 * (Dettmers et al. 2022). The kernel computes what is looked up here.
 */
import { adam, type AdamOptions } from "./adam.ts";

/** The sorted 256 numbers of the dynamic map: midpoints of equal parts of [0.1, 1] · 10^(i − 6). */
export function dynamicMap(signed: boolean): Float32Array {
  const values = [0, 1];
  for (let decade = 0; decade < 7; decade++) {
    const parts = (signed ? 1 : 2) * 2 ** decade;
    for (let j = 0; j < parts; j++) {
      const middle = 10 ** (decade - 6) * (0.1 + (0.9 * (j + 0.5)) / parts);
      values.push(middle);
      if (signed) values.push(-middle);
    }
  }
  return Float32Array.from(values).sort();
}

/** The code of the number nearest to a value in [−1, 1]. */
export function nearestCode(map: Float32Array, value: number): number {
  let best = 0;
  for (let code = 1; code < 256; code++) {
    if (Math.abs(map[code] - value) < Math.abs(map[best] - value)) best = code;
  }
  return best;
}

export interface State8bit {
  m: Uint8Array;
  v: Uint8Array;
  absmaxM: Float64Array;
  absmaxV: Float64Array;
}

const SIGNED = dynamicMap(true), UNSIGNED = dynamicMap(false), BLOCK = 256;

/** The update of one step; the state (of stored elements, row padding included) is overwritten. */
export function adam8bit(
  gradient: ArrayLike<number>,
  state: State8bit,
  options: AdamOptions,
): Float64Array {
  const m = Float64Array.from(state.m, (code, i) => SIGNED[code] * state.absmaxM[i >> 8]);
  const v = Float64Array.from(state.v, (code, i) => UNSIGNED[code] * state.absmaxV[i >> 8]);
  const update = adam(gradient, m, v, options);
  encodeBlocks(m, SIGNED, state.m, state.absmaxM);
  encodeBlocks(v, UNSIGNED, state.v, state.absmaxV);
  return update;
}

export function encodeBlocks(
  values: Float64Array,
  map: Float32Array,
  codes: Uint8Array,
  absmax: Float64Array,
) {
  for (let start = 0; start < values.length; start += BLOCK) {
    const block = values.subarray(start, start + BLOCK);
    const largest = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    absmax[start / BLOCK] = largest;
    block.forEach((value, i) => {
      codes[start + i] = nearestCode(map, largest > 0 ? value / largest : 0);
    });
  }
}

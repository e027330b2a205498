/**
 * Adam's step with block-wise moments of 8 or 4 bits, by tables and nearest search as in bitsandbytes
 * (Dettmers et al. 2022). The kernel computes what is looked up here.
 */
import { adam, type AdamOptions } from "./adam.ts";

/** The sorted numbers of a dynamic map: midpoints of equal parts of [0.1, 1] · 10^(i + 1 − decades). */
export function dynamicMap(signed: boolean, decades = 7): Float32Array {
  const values = [0, 1];
  for (let decade = 0; decade < decades; decade++) {
    const parts = (signed ? 1 : 2) * 2 ** decade;
    for (let j = 0; j < parts; j++) {
      const middle = 10 ** (decade + 1 - decades) * (0.1 + (0.9 * (j + 0.5)) / parts);
      values.push(middle);
      if (signed) values.push(-middle);
    }
  }
  return Float32Array.from(values).sort();
}

/** The code of the number nearest to a value in [−1, 1]. */
export function nearestCode(map: Float32Array, value: number): number {
  let best = 0;
  for (let code = 1; code < map.length; code++) {
    if (Math.abs(map[code] - value) < Math.abs(map[best] - value)) best = code;
  }
  return best;
}

/** The numbers of each moment's codes, and the elements that share an absolute maximum. */
export interface Format {
  readonly m: Float32Array;
  readonly v: Float32Array;
  readonly block: number;
  /** Whether m is relative to the root of v as that is stored. */
  readonly relative?: boolean;
}

export const EIGHT_BITS: Format = { m: dynamicMap(true), v: dynamicMap(false), block: 256 };

export const FOUR_BITS: Format = {
  m: Float32Array.from({ length: 16 }, (_, code) => (code - 8) / 7),
  v: Float32Array.from({ length: 16 }, (_, code) => 2 ** (code - 15)),
  block: 128,
  relative: true,
};

/** A code for every stored element, row padding included. */
export interface State {
  m: Uint8Array;
  v: Uint8Array;
  absmaxM: Float64Array;
  absmaxV: Float64Array;
}

/** The update of one step; the state is overwritten. */
export function adamBlockwise(
  gradient: ArrayLike<number>,
  state: State,
  { block, relative, ...maps }: Format,
  options: AdamOptions,
): Float64Array {
  const decode = (codes: Uint8Array, map: Float32Array, absmax: Float64Array) =>
    Float64Array.from(codes, (code, i) => map[code] * absmax[Math.floor(i / block)]);
  const root = () => decode(state.v, maps.v, state.absmaxV).map(Math.sqrt);
  const v = decode(state.v, maps.v, state.absmaxV), unit = root();
  const m = decode(state.m, maps.m, state.absmaxM)
    .map((value, i) => relative ? value * unit[i] : value);
  const update = adam(gradient, m, v, options);
  if (relative) {
    // The nearest of numbers in equal ratios: by their logarithms.
    const logs = maps.v.map(Math.log2);
    for (let start = 0; start < v.length; start += block) {
      const part = v.subarray(start, start + block), largest = Math.max(...part);
      state.absmaxV[start / block] = largest;
      part.forEach((value, i) => {
        state.v[start + i] = nearestCode(
          logs,
          largest > 0 ? Math.log2(value / largest) : -Infinity,
        );
      });
    }
    const after = root();
    m.forEach((value, i) => m[i] = after[i] > 0 ? value / after[i] : 0);
  } else encodeBlocks(v, maps.v, state.v, state.absmaxV, block);
  encodeBlocks(m, maps.m, state.m, state.absmaxM, block);
  return update;
}

export function encodeBlocks(
  values: Float64Array,
  map: Float32Array,
  codes: Uint8Array,
  absmax: Float64Array,
  size = EIGHT_BITS.block,
) {
  for (let start = 0; start < values.length; start += size) {
    const block = values.subarray(start, start + size);
    const largest = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    absmax[start / size] = largest;
    block.forEach((value, i) => {
      codes[start + i] = nearestCode(map, largest > 0 ? value / largest : 0);
    });
  }
}

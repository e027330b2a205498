/**
 * NF4 with double quantisation in plain loops and tables (Dettmers et al. 2023). Values that decide
 * codes are rounded to float32, as on the device.
 */
import { dynamicMap, nearestCode } from "../optim/adam_blockwise.ts";

const { fround } = Math;

/** Quantiles of the normal distribution: the NF4 levels, from bitsandbytes' table. */
// deno-fmt-ignore
export const LEVELS = Float32Array.from([
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
  -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
]);

const SIGNED = dynamicMap(true);

export interface Nf4 {
  /** Of every stored element, row padding included. */
  codes: Uint8Array;
  /** The mean of the absolute maxima. */
  offset: number;
  /** One for 256 blocks of 64. */
  scales: Float32Array;
  /** 8 bits a block. */
  absmaxCodes: Uint8Array;
}

/** `stored`: elements of the padded rows. */
export function nf4Quantize(stored: Float32Array): Nf4 {
  const blocks = Math.ceil(stored.length / 64);
  const codes = new Uint8Array(stored.length), absmaxes = new Float32Array(blocks);
  for (let block = 0; block < blocks; block++) {
    const values = stored.subarray(64 * block, 64 * block + 64);
    absmaxes[block] = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const inverse = fround(1 / Math.max(absmaxes[block], fround(1e-38)));
    values.forEach((value, i) => codes[64 * block + i] = nearestLevel(fround(value * inverse)));
  }
  const offset = fround(absmaxes.reduce((sum, value) => sum + value, 0) / blocks);
  const scales = new Float32Array(Math.ceil(blocks / 256)), absmaxCodes = new Uint8Array(blocks);
  for (let start = 0; start < blocks; start += 256) {
    const centred = absmaxes.subarray(start, start + 256).map((absmax) => absmax - offset);
    const scale = centred.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    scales[start / 256] = scale;
    centred.forEach((value, i) => {
      absmaxCodes[start + i] = nearestCode(SIGNED, scale > 0 ? value / scale : 0);
    });
  }
  return { codes, offset, scales, absmaxCodes };
}

export function nf4Dequantize({ codes, offset, scales, absmaxCodes }: Nf4): Float64Array {
  return Float64Array.from(codes, (code, i) => {
    const block = i >> 6;
    return LEVELS[code] * (SIGNED[absmaxCodes[block]] * scales[block >> 8] + offset);
  });
}

/** Ties go to the lower level. */
function nearestLevel(value: number): number {
  let best = 0;
  for (let code = 1; code < 16; code++) {
    if (Math.abs(LEVELS[code] - value) < Math.abs(LEVELS[best] - value)) best = code;
  }
  return best;
}

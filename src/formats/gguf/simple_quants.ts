/** ggml's oldest types: 32 elements per block, with a scale and, in some, a minimum. */

/** Scale (float16), 32 signed bytes. */
export function decodeQ8(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true);
  for (let i = 0; i < 32; i++) out[to + i] = scale * view.getInt8(at + 2 + i);
}

/** Scale, 16 bytes: the first 16 elements in the low halves, the others in the high; minus 8. */
export function decodeQ4(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true);
  for (let i = 0; i < 16; i++) {
    const pair = view.getUint8(at + 2 + i);
    out[to + i] = scale * ((pair & 15) - 8);
    out[to + 16 + i] = scale * ((pair >> 4) - 8);
  }
}

/** Scale, minimum, 16 bytes as above. */
export function decodeQ4Minimum(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true), minimum = view.getFloat16(at + 2, true);
  for (let i = 0; i < 16; i++) {
    const pair = view.getUint8(at + 4 + i);
    out[to + i] = scale * (pair & 15) + minimum;
    out[to + 16 + i] = scale * (pair >> 4) + minimum;
  }
}

/** Scale, 32 fifth bits, 16 bytes as above; minus 16. */
export function decodeQ5(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true);
  fiveBits(view, at + 2, (i, code) => out[to + i] = scale * (code - 16));
}

/** Scale, minimum, 32 fifth bits, 16 bytes as above. */
export function decodeQ5Minimum(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true), minimum = view.getFloat16(at + 2, true);
  fiveBits(view, at + 4, (i, code) => out[to + i] = scale * code + minimum);
}

function fiveBits(view: DataView, at: number, each: (index: number, code: number) => void): void {
  const high = view.getUint32(at, true);
  for (let i = 0; i < 16; i++) {
    const pair = view.getUint8(at + 4 + i);
    each(i, (pair & 15) | ((high >>> i) & 1) << 4);
    each(16 + i, (pair >> 4) | ((high >>> (16 + i)) & 1) << 4);
  }
}

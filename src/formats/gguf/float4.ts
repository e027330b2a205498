/** ggml's blocks of 4-bit floating-point numbers (E2M1), with a scale in 8 bits. */

/** Twice the values of the 16 codes; scales are halved in turn. */
const DOUBLED = Float32Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

/** 32 elements: the scale's exponent, 16 bytes: the first 16 codes in the low halves. */
export function decodeMXFP4(view: DataView, at: number, out: Float32Array, to: number): void {
  codes(view, at + 1, out, to, 2 ** (view.getUint8(at) - 128), 16);
}

/** 64 elements: 4 scales (E4M3 without a sign), then per 16 elements 8 bytes, as above. */
export function decodeNVFP4(view: DataView, at: number, out: Float32Array, to: number): void {
  for (let group = 0; group < 4; group++) {
    codes(view, at + 4 + 8 * group, out, to + 16 * group, e4m3(view.getUint8(at + group)) / 2, 8);
  }
}

/** Subnormal where the exponent is 0; the largest code means "not a number" and is read as 0. */
function e4m3(code: number): number {
  const exponent = code >> 3 & 15, mantissa = code & 7;
  if (code === 0x7f) return 0;
  return exponent === 0 ? mantissa / 512 : (1 + mantissa / 8) * 2 ** (exponent - 7);
}

function codes(
  view: DataView,
  at: number,
  out: Float32Array,
  to: number,
  scale: number,
  half: number,
): void {
  for (let i = 0; i < half; i++) {
    const pair = view.getUint8(at + i);
    out[to + i] = scale * DOUBLED[pair & 15];
    out[to + half + i] = scale * DOUBLED[pair >> 4];
  }
}

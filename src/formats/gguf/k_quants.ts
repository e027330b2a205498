/**
 * ggml's "k" types: 256 elements per block, in groups of 32 (or 16) whose scales are quantised too.
 * Most published GGUF files use them: Q4_K_M mixes Q4_K and Q6_K.
 */

/**
 * 16 bytes with the scale and minimum of 16 elements each (4 bits), 64 bytes of four codes, scale
 * and minimum of those (float16).
 */
export function decodeQ2K(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at + 80, true), minimum = view.getFloat16(at + 82, true);
  for (let i = 0; i < 256; i++) {
    const pair = view.getUint8(at + (i >> 4));
    out[to + i] = scale * (pair & 15) * twoBits(view, at + 16, i) - minimum * (pair >> 4);
  }
}

/**
 * 32 bytes of third bits (bit i of byte j is element 32i + j's), 64 bytes of four codes, 16 scales
 * of 6 bits, minus 32, and their scale. The codes are minus 4 unless the third bit is set.
 */
export function decodeQ3K(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at + 108, true);
  for (let i = 0; i < 256; i++) {
    // Of group g: half of byte g mod 8, and two bits of byte 8 + g mod 4.
    const group = i >> 4;
    const low = view.getUint8(at + 96 + (group & 7)) >> 4 * (group >> 3) & 15;
    const high = view.getUint8(at + 104 + (group & 3)) >> 2 * (group >> 2) & 3;
    const third = view.getUint8(at + (i & 31)) >> (i >> 5) & 1;
    const code = twoBits(view, at + 32, i) - (third ? 0 : 4);
    out[to + i] = scale * ((low | high << 4) - 32) * code;
  }
}

/** In each half of 128 elements, four runs of 32 in the pairs of bits of 32 bytes, lowest first. */
function twoBits(view: DataView, at: number, i: number): number {
  return view.getUint8(at + 32 * (i >> 7) + (i & 31)) >> 2 * (i >> 5 & 3) & 3;
}

/** Scale and minimum of the scales (float16), 8 pairs of 6 bits, 128 bytes of two codes. */
export function decodeQ4K(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true), minimum = view.getFloat16(at + 2, true);
  for (let group = 0; group < 8; group++) {
    const d = scale * groupScale(view, at + 4, group), m = minimum * groupMin(view, at + 4, group);
    // Two groups share 32 bytes; the even one is in the low nibbles.
    const codes = at + 16 + 32 * (group >> 1), shift = 4 * (group & 1);
    for (let i = 0; i < 32; i++) {
      out[to + 32 * group + i] = d * ((view.getUint8(codes + i) >> shift) & 15) - m;
    }
  }
}

/** As Q4_K, with 32 bytes of fifth bits before the codes: bit g of byte i is group g's. */
export function decodeQ5K(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true), minimum = view.getFloat16(at + 2, true);
  for (let group = 0; group < 8; group++) {
    const d = scale * groupScale(view, at + 4, group), m = minimum * groupMin(view, at + 4, group);
    const codes = at + 48 + 32 * (group >> 1), shift = 4 * (group & 1);
    for (let i = 0; i < 32; i++) {
      const low = (view.getUint8(codes + i) >> shift) & 15;
      const high = (view.getUint8(at + 16 + i) >> group) & 1;
      out[to + 32 * group + i] = d * (low | high << 4) - m;
    }
  }
}

/**
 * The 8 scales and 8 minima of 6 bits in 12 bytes: the first four of each in the low 6 bits of
 * bytes 0 to 3 and 4 to 7, whose two high bits, with half of bytes 8 to 11, make the others.
 */
function groupScale(view: DataView, at: number, group: number): number {
  if (group < 4) return view.getUint8(at + group) & 63;
  return (view.getUint8(at + 4 + group) & 15) | (view.getUint8(at + group - 4) >> 6) << 4;
}

function groupMin(view: DataView, at: number, group: number): number {
  if (group < 4) return view.getUint8(at + 4 + group) & 63;
  return (view.getUint8(at + 4 + group) >> 4) | (view.getUint8(at + group) >> 6) << 4;
}

/** 128 bytes of low halves, 64 of high pairs of bits, 16 signed scales, and their scale; minus 32. */
export function decodeQ6K(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at + 208, true);
  for (let i = 0; i < 256; i++) {
    // In each half of 128: four runs of 32, alternately in the low and high nibbles of 64 bytes.
    const half = i >> 7, run = (i >> 5) & 3, place = i & 31;
    const low = view.getUint8(at + 64 * half + 32 * (run & 1) + place) >> (4 * (run >> 1)) & 15;
    const high = view.getUint8(at + 128 + 32 * half + place) >> (2 * run) & 3;
    out[to + i] = scale * view.getInt8(at + 192 + (i >> 4)) * ((low | high << 4) - 32);
  }
}

/** ggml's types of one, two or three levels: a code per element and a scale per block. */

/** 128 elements: scale, 128 bits: minus or plus the scale. */
export function decodeQ1(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true);
  for (let i = 0; i < 128; i++) {
    out[to + i] = view.getUint8(at + 2 + (i >> 3)) >> (i & 7) & 1 ? scale : -scale;
  }
}

/** 64 elements: scale, 64 codes of 2 bits, minus 1. */
export function decodeQ2(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true);
  for (let i = 0; i < 64; i++) {
    out[to + i] = scale * ((view.getUint8(at + 2 + (i >> 2)) >> 2 * (i & 3) & 3) - 1);
  }
}

const POWERS = [1, 3, 9, 27, 81];

/**
 * 256 elements: 32 and 16 bytes of five ternary digits, 4 bytes of four; their scale. A byte is
 * 256/243 times the number of its digits, rounded up, so that after multiplication by a power of 3,
 * modulo 256, the next digit is the whole part of 3/256 of it. Minus 1.
 */
export function decodeTQ1(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at + 52, true);
  const digits = (from: number, bytes: number, count: number, start: number) => {
    for (let digit = 0; digit < count; digit++) {
      for (let i = 0; i < bytes; i++) {
        const code = (view.getUint8(at + from + i) * POWERS[digit] & 255) * 3 >> 8;
        out[to + start + digit * bytes + i] = scale * (code - 1);
      }
    }
  };
  digits(0, 32, 5, 0);
  digits(32, 16, 5, 160);
  digits(48, 4, 4, 240);
}

/** 256 elements: per 128, 32 bytes of four codes of 2 bits, minus 1; their scale. */
export function decodeTQ2(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at + 64, true);
  for (let i = 0; i < 256; i++) {
    const byte = view.getUint8(at + 32 * (i >> 7) + (i & 31));
    out[to + i] = scale * ((byte >> 2 * (i >> 5 & 3) & 3) - 1);
  }
}

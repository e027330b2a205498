/**
 * ggml's "i" types: 256 elements per block, as words of a codebook times a scale. Signs are bits
 * beside the words, or belong to the word (IQ1). IQ4 has no words, but 16 unevenly spaced levels.
 */
import { type Codebook, CODEBOOKS } from "./codebooks.ts";

/** Scale; per 32 elements 4 bytes of words, then 4 x 7 signs and 4 bits of scale. */
export function decodeIQ2XXS(view: DataView, at: number, out: Float32Array, to: number): void {
  const book = CODEBOOKS.IQ2_XXS(), scale = view.getFloat16(at, true);
  for (let word = 0; word < 32; word++) {
    const group = at + 2 + 8 * (word >> 2), packed = view.getUint32(group + 4, true);
    const d = scale * (0.5 + (packed >>> 28)) * 0.25;
    const signs = evenSigns(packed >>> 7 * (word & 3));
    putWord(out, to + 8 * word, book, view.getUint8(group + (word & 3)), d, signs);
  }
}

/** Scale; 32 words of 9 bits with 7 signs each; 4 bits of scale per 16 elements. */
export function decodeIQ2XS(view: DataView, at: number, out: Float32Array, to: number): void {
  const book = CODEBOOKS.IQ2_XS(), scale = view.getFloat16(at, true);
  for (let word = 0; word < 32; word++) {
    const packed = view.getUint16(at + 2 + 2 * word, true);
    const d = scale * (0.5 + nibble(view, at + 66, word >> 1)) * 0.25;
    putWord(out, to + 8 * word, book, packed & 511, d, evenSigns(packed >> 9));
  }
}

/**
 * Scale; the low bytes of 32 words; their signs; two high bits per word; 4 bits of scale per 16
 * elements.
 */
export function decodeIQ2S(view: DataView, at: number, out: Float32Array, to: number): void {
  const book = CODEBOOKS.IQ2_S(), scale = view.getFloat16(at, true);
  for (let word = 0; word < 32; word++) {
    const high = view.getUint8(at + 66 + (word >> 2)) >> 2 * (word & 3) & 3;
    const d = scale * (0.5 + nibble(view, at + 74, word >> 1)) * 0.25;
    const index = view.getUint8(at + 2 + word) | high << 8;
    putWord(out, to + 8 * word, book, index, d, view.getUint8(at + 34 + word));
  }
}

/** Scale; 64 words of four elements; per 32 elements 4 x 7 signs and 4 bits of scale. */
export function decodeIQ3XXS(view: DataView, at: number, out: Float32Array, to: number): void {
  const book = CODEBOOKS.IQ3_XXS(), scale = view.getFloat16(at, true);
  for (let word = 0; word < 64; word++) {
    const packed = view.getUint32(at + 66 + 4 * (word >> 3), true);
    const d = scale * (0.5 + (packed >>> 28)) * 0.5;
    const signs = evenSigns(packed >>> 7 * (word >> 1 & 3)) >> 4 * (word & 1);
    putWord(out, to + 4 * word, book, view.getUint8(at + 2 + word), d, signs);
  }
}

/**
 * Scale; the low bytes of 64 words of four elements; their ninth bits; the signs; 4 bits of scale
 * per 32 elements.
 */
export function decodeIQ3S(view: DataView, at: number, out: Float32Array, to: number): void {
  const book = CODEBOOKS.IQ3_S(), scale = view.getFloat16(at, true);
  for (let word = 0; word < 64; word++) {
    const high = view.getUint8(at + 66 + (word >> 3)) >> (word & 7) & 1;
    const d = scale * (1 + 2 * nibble(view, at + 106, word >> 3));
    const index = view.getUint8(at + 2 + word) | high << 8;
    putWord(out, to + 4 * word, book, index, d, nibble(view, at + 74, word));
  }
}

const scratch = new DataView(new ArrayBuffer(2));

/** The number with these bits. */
function float16(bits: number): number {
  scratch.setUint16(0, bits);
  return scratch.getFloat16(0);
}

/** What IQ1 adds to the words of a group, or subtracts from them. */
const IQ1_SHIFT = 0.125;

/** Scale; the low bytes of 32 words; per four words 4 x 3 high bits, 3 of scale and the shift's sign. */
export function decodeIQ1S(view: DataView, at: number, out: Float32Array, to: number): void {
  const { values } = CODEBOOKS.IQ1_S(), scale = view.getFloat16(at, true);
  for (let word = 0; word < 32; word++) {
    const packed = view.getUint16(at + 34 + 2 * (word >> 2), true);
    const index = view.getUint8(at + 2 + word) | (packed >> 3 * (word & 3) & 7) << 8;
    const d = scale * (2 * (packed >> 12 & 7) + 1);
    const shift = packed & 0x8000 ? -IQ1_SHIFT : IQ1_SHIFT;
    for (let i = 0; i < 8; i++) out[to + 8 * word + i] = d * (values[8 * index + i] + shift);
  }
}

/**
 * The low bytes of 32 words; per word 3 high bits and the shift's sign; four 16-bit numbers with 4
 * x 3 bits of scale per 16 elements and 4 bits of the block's scale.
 */
export function decodeIQ1M(view: DataView, at: number, out: Float32Array, to: number): void {
  const { values } = CODEBOOKS.IQ1_S();
  const packed = (group: number) => view.getUint16(at + 48 + 2 * group, true);
  const scale = float16(
    packed(0) >> 12 | packed(1) >> 8 & 0xf0 | packed(2) >> 4 & 0xf00 | packed(3) & 0xf000,
  );
  for (let word = 0; word < 32; word++) {
    const high = nibble(view, at + 32, word);
    const index = view.getUint8(at + word) | (high & 7) << 8;
    const d = scale * (2 * (packed(word >> 3) >> 3 * (word >> 1 & 3) & 7) + 1);
    const shift = high & 8 ? -IQ1_SHIFT : IQ1_SHIFT;
    for (let i = 0; i < 8; i++) out[to + 8 * word + i] = d * (values[8 * index + i] + shift);
  }
}

/** The levels of IQ4, denser around zero, as weights are. */
const IQ4_LEVELS = Float32Array.of(
  ...[-127, -104, -83, -65, -49, -35, -22, -10],
  ...[1, 13, 25, 38, 53, 69, 89, 113],
);

/** 32 elements: scale, 16 bytes: the first 16 codes in the low halves, the others in the high. */
export function decodeIQ4NL(view: DataView, at: number, out: Float32Array, to: number): void {
  levels(view, at + 2, out, to, view.getFloat16(at, true));
}

/** Scale; per 32 elements two high bits, then four low bits of their scales, minus 32; the codes. */
export function decodeIQ4XS(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true), highs = view.getUint16(at + 2, true);
  for (let group = 0; group < 8; group++) {
    const own = nibble(view, at + 4, group) | (highs >> 2 * group & 3) << 4;
    levels(view, at + 8 + 16 * group, out, to + 32 * group, scale * (own - 32));
  }
}

function levels(view: DataView, at: number, out: Float32Array, to: number, scale: number): void {
  for (let i = 0; i < 16; i++) {
    const pair = view.getUint8(at + i);
    out[to + i] = scale * IQ4_LEVELS[pair & 15];
    out[to + 16 + i] = scale * IQ4_LEVELS[pair >> 4];
  }
}

/** Half a byte of a list: the even ones are the low halves. */
function nibble(view: DataView, at: number, index: number): number {
  return view.getUint8(at + (index >> 1)) >> 4 * (index & 1) & 15;
}

/** Eight signs from the low seven bits: the eighth makes the number of minus signs even. */
function evenSigns(bits: number): number {
  let parity = bits & 127;
  parity ^= parity >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return bits & 127 | (parity & 1) << 7;
}

/** Writes a word times `scale`; bit i of `signs` negates its value i. */
function putWord(
  out: Float32Array,
  to: number,
  { length, values }: Codebook,
  index: number,
  scale: number,
  signs: number,
): void {
  for (let i = 0; i < length; i++) {
    const value = scale * values[index * length + i];
    out[to + i] = signs >> i & 1 ? -value : value;
  }
}

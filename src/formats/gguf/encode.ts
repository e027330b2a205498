/** Encodes float32 values in the types that are written: F32, F16 and Q8_0. */
import { GGMLQuantizationType } from "../../packages/huggingface_gguf.ts";

export interface Encoding {
  readonly name: string;
  /** ggml's id. */
  readonly id: number;
  /** Elements per block, and their bytes. */
  readonly elements: number;
  readonly bytes: number;
  /** Encodes whole blocks, little-endian. Values out of range become infinities or NaN. */
  readonly encode: (values: Float32Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
  /** Magnitudes below this are finite in the type. */
  readonly limit: number;
}

export const F32: Encoding = {
  name: "F32",
  id: GGMLQuantizationType.F32,
  elements: 1,
  bytes: 4,
  encode: (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  limit: Infinity,
};

/**
 * Halfway between float16's largest number, 65504, and the next power of two: below it, values
 * round down.
 */
const FLOAT16_LIMIT = 65520;

export const F16: Encoding = {
  name: "F16",
  id: GGMLQuantizationType.F16,
  elements: 1,
  bytes: 2,
  encode: (values) => new Uint8Array(new Float16Array(values).buffer),
  limit: FLOAT16_LIMIT,
};

const BLOCK = 32, BLOCK_BYTES = 2 + BLOCK;

export const Q8_0: Encoding = {
  name: "Q8_0",
  id: GGMLQuantizationType.Q8_0,
  elements: BLOCK,
  bytes: BLOCK_BYTES,
  encode: quantizeQ8,
  limit: 127 * FLOAT16_LIMIT,
};

/**
 * Blocks of 32: d = max|x| / 127 as float16, then round(x / d) as signed bytes. Bitwise equal to
 * ggml's reference (quantize_row_q8_0_ref): codes use the scale before its rounding to float16, 1/d
 * and the product are float32, and halves round away from zero.
 */
function quantizeQ8(values: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const blocks = values.length / BLOCK;
  const out = new Uint8Array(blocks * BLOCK_BYTES), view = new DataView(out.buffer);
  const codes = new Int8Array(out.buffer);
  // Magnitudes compare as their bits do. Signs are those of noise: a branch on them costs more than
  // all the rest.
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const one = new Float32Array(1), oneBits = new Int32Array(one.buffer);
  for (let block = 0; block < blocks; block++) {
    const from = block * BLOCK, at = block * BLOCK_BYTES;
    let largest = 0;
    for (let i = from; i < from + BLOCK; i++) largest = Math.max(largest, bits[i] & 0x7fffffff);
    oneBits[0] = largest;
    const scale = Math.fround(one[0] / 127), inverse = scale ? Math.fround(1 / scale) : 0;
    view.setFloat16(at, scale, true);
    for (let i = 0; i < BLOCK; i++) {
      const magnitude = (Math.abs(Math.fround(values[from + i] * inverse)) + 0.5) | 0;
      const sign = bits[from + i] >> 31;
      codes[at + 2 + i] = (magnitude ^ sign) - sign;
    }
  }
  return out;
}

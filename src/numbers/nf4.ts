/**
 * NF4 with double quantisation on the host: the bytes of `nf4` tensors as numbers, for files and
 * tests. On the device kernels/quantise/nf4_quantize.ts writes and shaders/lib/nf4.wgsl reads it.
 *
 * Blocks of 64 consecutive elements of the padded, flattened matrix share an absolute maximum:
 * value = level[code] · absmax. Codes are packed eight to 32 bits, lowest bits first (in
 * bitsandbytes: highest bits first within each byte). The absolute maxima are themselves quantised,
 * in blocks of 256: absmax = map[code] · scale + offset, where map is the signed dynamic one. The
 * constants of a matrix are one array of words, with floats as bits:
 *   [offset, scale of blocks 0 to 255, 64 words of their codes, scale of blocks 256 to 511, …]
 * Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", section 3.
 */
import { columnsOf, elementOffset, type Layout, rowsOf } from "./layout.ts";

/** Elements per NF4 block, which share an absolute maximum, and blocks that share a scale. */
export const NF4_BLOCK = 64, NF4_SUPERBLOCK = 256;

/**
 * Words of the constants of this many stored NF4 elements: the offset, then for each 256 blocks a
 * scale and 256 8-bit codes (fewer for the last). 0.127 bits per element.
 */
export function nf4ConstantWords(elements: number): number {
  const blocks = Math.ceil(elements / NF4_BLOCK);
  return 1 + Math.ceil(blocks / NF4_SUPERBLOCK) + Math.ceil(blocks / 4);
}

/** Equally probable steps of a normal distribution, and an exact zero; as float32. */
export const NF4_LEVELS = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);

/** The 256 numbers of bitsandbytes' signed dynamic map, in order. */
export const DYNAMIC_MAP = dynamicMap();

/** Zero, one, and seven decades of 1, 2, 4, … 64 numbers of each sign up to 1. */
function dynamicMap(): Float32Array {
  const values = [0, 1];
  for (let decade = 0, parts = 1; decade < 7; decade++, parts *= 2) {
    for (let part = 0; part < parts; part++) {
      const magnitude = 10 ** (decade - 6) * (0.1 + (0.9 * (part + 0.5)) / parts);
      values.push(magnitude, -magnitude);
    }
  }
  return Float32Array.from(values).sort();
}

/** The absolute maxima of blocks [start, end) of a matrix with these constants. */
export function nf4Absmaxes(constants: Uint32Array, start: number, end: number): Float32Array {
  const floats = new Float32Array(constants.buffer, constants.byteOffset, constants.length);
  const values = new Float32Array(end - start);
  for (let block = start; block < end; block++) {
    const within = block % NF4_SUPERBLOCK;
    const record = 1 + (1 + NF4_SUPERBLOCK / 4) * Math.floor(block / NF4_SUPERBLOCK);
    const code = (constants[record + 1 + (within >> 2)] >>> (8 * (within & 3))) & 255;
    values[block - start] = Math.fround(DYNAMIC_MAP[code] * floats[record]) + floats[0];
  }
  return values;
}

/** Unpacks a tensor's codes, row-major, without padding. */
export function nf4Codes(tensor: Layout, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const rows = rowsOf(tensor.shape), columns = columnsOf(tensor.shape);
  const codes = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = row * tensor.stride + column;
      codes[row * columns + column] = (bytes[at >> 1] >> (4 * (at & 1))) & 15;
    }
  }
  return codes;
}

/**
 * The values of a tensor's bytes, row-major; `constants` are those of the whole matrix, even if the
 * tensor is a row range.
 */
export function nf4Dequantize(
  tensor: Layout,
  bytes: Uint8Array,
  constants: Uint32Array,
): Float32Array<ArrayBuffer> {
  const codes = nf4Codes(tensor, bytes);
  const columns = columnsOf(tensor.shape), offset = elementOffset(tensor);
  const first = Math.floor(offset / NF4_BLOCK);
  const stored = rowsOf(tensor.shape) * tensor.stride;
  const absmaxes = nf4Absmaxes(constants, first, Math.ceil((offset + stored) / NF4_BLOCK));
  const values = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    const at = offset + Math.floor(i / columns) * tensor.stride + (i % columns);
    values[i] = NF4_LEVELS[codes[i]] * absmaxes[Math.floor(at / NF4_BLOCK) - first];
  }
  return values;
}

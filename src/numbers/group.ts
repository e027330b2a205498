/**
 * Group quantisation on the host: the bytes of int8 and int4 tensors as numbers, for files, for
 * display and for tests. On the device it is kernels/quantise.
 *
 * A group is `groupSize` consecutive elements of the padded, flattened matrix, and has a scale and
 * a zero point, in a word (group_constants.ts): value = (code − zero) · scale. Codes are packed four
 * (int8) or eight (int4) to 32 bits, lowest bits first.
 */
import { bytesOf, columnsOf, elementOffset, elementsOf, type Layout, rowsOf } from "./layout.ts";
import { unpackConstants } from "./group_constants.ts";
import { ShapeError } from "./shape_error.ts";

/** Greatest code: 255 or 15. */
export function levelsOf(tensor: Layout): number {
  if (tensor.dtype === "int8") return 255;
  if (tensor.dtype === "int4") return 15;
  throw new ShapeError(`${tensor.name}: ${tensor.dtype} has no quantisation groups`);
}

/** Unpacks a tensor's codes, row-major, without padding. */
export function unpackCodes(tensor: Layout, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const wide = levelsOf(tensor) === 255;
  return gather(tensor, (at) => wide ? bytes[at] : (bytes[at >> 1] >> (4 * (at & 1))) & 15);
}

/** Packs codes into a tensor's bytes; padding gets its group's code of zero. */
export function packCodes(
  tensor: Layout,
  codes: ArrayLike<number>,
  constants: Uint32Array,
): Uint8Array<ArrayBuffer> {
  const levels = levelsOf(tensor), wide = levels === 255;
  const rows = rowsOf(tensor.shape), columns = columnsOf(tensor.shape), { stride } = tensor;
  const bytes = new Uint8Array(bytesOf(tensor.dtype, rows * stride));
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < stride; column++, at++) {
      const code = column < columns
        ? codes[row * columns + column]
        : unpackConstants(constants[Math.floor(at / tensor.groupSize!)], levels).zero;
      if (wide) bytes[at] = code;
      else bytes[at >> 1] |= code << (4 * (at & 1));
    }
  }
  return bytes;
}

/**
 * The values of a tensor's bytes, into new memory, if none is given; `constants` are the words of
 * the whole matrix's groups, even if the tensor is a row range.
 */
export function dequantize(
  tensor: Layout,
  bytes: Uint8Array,
  constants: Uint32Array,
  values: Float32Array<ArrayBuffer> = new Float32Array(elementsOf(tensor)),
): Float32Array<ArrayBuffer> {
  const { stride } = tensor, groupSize = tensor.groupSize!, offset = elementOffset(tensor);
  const columns = columnsOf(tensor.shape), rows = rowsOf(tensor.shape);
  const levels = levelsOf(tensor), isWide = levels === 255;
  const codes = isWide ? bytes : unpackCodes(tensor, bytes);
  for (let row = 0, i = 0; row < rows; row++) {
    const first = offset + row * stride, last = first + columns;
    for (let at = first, code = row * (isWide ? stride : columns); at < last;) {
      const group = Math.floor(at / groupSize), end = Math.min(last, (group + 1) * groupSize);
      const { scale, zero } = unpackConstants(constants[group], levels);
      for (; at < end; at++, i++, code++) values[i] = Math.fround(codes[code] - zero) * scale;
    }
  }
  return values;
}

function gather(tensor: Layout, codeAt: (at: number) => number): Uint8Array<ArrayBuffer> {
  const rows = rowsOf(tensor.shape), columns = columnsOf(tensor.shape);
  const codes = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      codes[row * columns + column] = codeAt(row * tensor.stride + column);
    }
  }
  return codes;
}

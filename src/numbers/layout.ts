/**
 * The memory layout of numbers: their format and rows.
 *
 * Rows are padded to a multiple of 8 elements, in every format, and the padding is zero. So each
 * row is aligned for vector loads, no two rows share a 32-bit word, and eight consecutive elements
 * (an "octet") never straddle a quantisation group. Widths that are multiples of 8, as nearly all
 * are, need no padding.
 */

/**
 * Number formats. `int8` and `int4` are group-quantised (group.ts), with scales and zero points in
 * separate constants; likewise `nf4` (nf4.ts), with absolute maxima. `uint8` and `uint4` hold raw
 * bytes and nibbles (codes of Adam's moments).
 */
export type DType =
  | "float32"
  | "bfloat16"
  | "int8"
  | "int4"
  | "nf4"
  | "uint8"
  | "uint4"
  | "uint32";

const BITS: Record<DType, number> = {
  float32: 32,
  bfloat16: 16,
  int8: 8,
  int4: 4,
  nf4: 4,
  uint8: 8,
  uint4: 4,
  uint32: 32,
};

/** Row strides are multiples of this many elements. */
export const OCTET = 8;

/** A matrix of numbers, or rows of one. */
export interface Layout {
  /** For error messages and labels. */
  readonly name: string;
  /** Logical shape, row-major; every dimension but the last counts rows. */
  readonly shape: readonly number[];
  /** Number format. */
  readonly dtype: DType;
  /** Elements from the start of a row to the start of the next: the last dimension padded to 8. */
  readonly stride: number;
  /** Offset from the start of the whole matrix. */
  readonly byteOffset: number;
  /** Elements per quantisation group, padding included. */
  readonly groupSize?: number;
}

/** Bytes of this many elements, in whole 32-bit words. */
export function bytesOf(dtype: DType, elements: number): number {
  return Math.ceil((elements * BITS[dtype]) / 32) * 4;
}

/** Columns, padded to a multiple of {@link OCTET}: the stride of a row. */
export function padded(columns: number): number {
  return Math.ceil(columns / OCTET) * OCTET;
}

/** Number of columns: the last dimension. */
export function columnsOf(shape: readonly number[]): number {
  return shape[shape.length - 1];
}

/** Number of rows: the product of every dimension but the last. */
export function rowsOf(shape: readonly number[]): number {
  return shape.slice(0, -1).reduce((product, size) => product * size, 1);
}

/** Number of stored elements, padding included. */
export function storedElements(layout: Pick<Layout, "shape" | "stride">): number {
  return rowsOf(layout.shape) * layout.stride;
}

/** Number of elements of the logical shape. */
export function elementsOf({ shape }: Pick<Layout, "shape">): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Elements from the start of the buffer to the tensor's first. A row range shares the constants of
 * the whole quantised matrix, so a kernel finds a group by (elementOffset + element) / groupSize.
 */
export function elementOffset({ byteOffset, dtype }: Pick<Layout, "byteOffset" | "dtype">): number {
  return (byteOffset * 8) / BITS[dtype];
}

/**
 * How numbers lie in memory: their format, and rows of them.
 *
 * Rows are padded to a multiple of 8 elements, in every format, and the padding is zero. So each
 * row starts on an address that vector loads like, no 32-bit word is shared by two rows, and eight
 * consecutive elements (an "octet") never straddle a quantisation group. Widths that are a
 * multiple of 8, which is nearly all of them, have no padding at all.
 */

/**
 * Number formats. `int8` and `int4` are group-quantised (group.ts) and carry their
 * scales and zero points in constants of their own; so does `nf4` (nf4.ts) with its
 * absolute maxima. `uint8` holds raw bytes (8-bit Adam codes).
 */
export type DType = "float32" | "bfloat16" | "int8" | "int4" | "nf4" | "uint8" | "uint32";

const BITS: Record<DType, number> = {
  float32: 32,
  bfloat16: 16,
  int8: 8,
  int4: 4,
  nf4: 4,
  uint8: 8,
  uint32: 32,
};

/** Elements from one row to the next are a multiple of this. */
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
  /** From the start of the whole matrix. */
  readonly byteOffset: number;
  /** Elements of a quantisation group, counted along the padded rows. */
  readonly groupSize?: number;
}

/** Bytes of so many elements, in whole 32-bit words. */
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

/** Elements that are stored, padding included. */
export function storedElements(layout: Pick<Layout, "shape" | "stride">): number {
  return rowsOf(layout.shape) * layout.stride;
}

/** Elements of the logical shape. */
export function elementsOf({ shape }: Pick<Layout, "shape">): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Elements from the start of the buffer to the tensor's first. The constants of a quantised matrix
 * stay those of the whole, so a kernel that reads a row range finds its group by
 * (elementOffset + element) / groupSize.
 */
export function elementOffset({ byteOffset, dtype }: Pick<Layout, "byteOffset" | "dtype">): number {
  return (byteOffset * 8) / BITS[dtype];
}

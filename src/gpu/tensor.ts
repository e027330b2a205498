/**
 * Tensors: a shape, a number format and a range of a GPU buffer.
 *
 * Rows are padded to a multiple of 8 elements, in every format, and the padding is zero. So each
 * row starts on an address that vector loads like, no 32-bit word is shared by two rows, and eight
 * consecutive elements (an "octet") never straddle a quantisation group. Widths that are a
 * multiple of 8, which is nearly all of them, have no padding at all.
 */
import { ShapeError } from "./errors.ts";

/**
 * Number formats. `int8` and `int4` are group-quantised (see quant/group.ts) and carry their
 * scales and zero points in {@link Tensor.constants}; so does `nf4` (see quant/nf4.ts) with its
 * absolute maxima. `uint8` holds raw bytes (8-bit Adam codes).
 */
export type DType = "float32" | "bfloat16" | "int8" | "int4" | "nf4" | "uint8" | "uint32";

/** What a buffer is for; the columns of the memory plan. */
export type Purpose =
  | "weights"
  | "quantisation_constants"
  | "projections"
  | "optimizer_state"
  | "activations"
  | "gradients"
  | "workspace";

export const PURPOSES: readonly Purpose[] = [
  "weights",
  "quantisation_constants",
  "projections",
  "optimizer_state",
  "activations",
  "gradients",
  "workspace",
];

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

/** Elements of an NF4 block, which share an absolute maximum, and such blocks that share a scale. */
export const NF4_BLOCK = 64, NF4_SUPERBLOCK = 256;

export interface Tensor {
  readonly name: string;
  /** Logical shape, row-major; every dimension but the last counts rows. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Elements from the start of a row to the start of the next: the last dimension padded to 8. */
  readonly stride: number;
  /** Null in a memory plan, where nothing is allocated. */
  readonly buffer: GPUBuffer | null;
  readonly byteOffset: number;
  readonly byteLength: number;
  /**
   * (groups, 2) float32 pairs of scale and zero point, for `int8` and `int4`;
   * ({@link nf4ConstantWords}) uint32, for `nf4`.
   */
  readonly constants?: Tensor;
  /** Elements of a quantisation group, counted along the padded rows. */
  readonly groupSize?: number;
}

export function bytesOf(dtype: DType, elements: number): number {
  return Math.ceil((elements * BITS[dtype]) / 32) * 4;
}

/**
 * Words of the constants of so many stored NF4 elements: the offset, then of each 256 blocks a scale
 * and 256 codes of 8 bits (fewer of the last). 0.127 bits an element.
 */
export function nf4ConstantWords(elements: number): number {
  const blocks = Math.ceil(elements / NF4_BLOCK);
  return 1 + Math.ceil(blocks / NF4_SUPERBLOCK) + Math.ceil(blocks / 4);
}

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
export function storedElements(tensor: Tensor): number {
  return rowsOf(tensor.shape) * tensor.stride;
}

/** Elements of the logical shape. */
export function elementsOf({ shape }: Pick<Tensor, "shape">): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * A view of rows [start, end) of a matrix, sharing its buffer. The start of a view that a kernel
 * binds must fall on the adapter's storage alignment: take multiples of 64 rows and it always does.
 */
export function rowRange(tensor: Tensor, start: number, end: number): Tensor {
  const rows = rowsOf(tensor.shape);
  if (!(0 <= start && start < end && end <= rows)) {
    throw new ShapeError(`rowRange: [${start}, ${end}) of ${tensor.name} must lie in [0, ${rows}]`);
  }
  const byteOffset = bytesOf(tensor.dtype, start * tensor.stride);
  return {
    ...tensor,
    shape: [end - start, columnsOf(tensor.shape)],
    byteOffset: tensor.byteOffset + byteOffset,
    byteLength: bytesOf(tensor.dtype, (end - start) * tensor.stride),
  };
}

/**
 * Elements from the start of the buffer to the tensor's first. The constants of a quantised matrix
 * stay those of the whole, so a kernel that reads a row range finds its group by
 * (elementOffset + element) / groupSize.
 */
export function elementOffset(tensor: Tensor): number {
  return (tensor.byteOffset * 8) / BITS[tensor.dtype];
}

/**
 * Another shape over the start of the same memory: for scratch tensors that serve matrices of many
 * sizes in turn. What the view holds at first is whatever was there.
 */
export function viewAs(scratch: Tensor, name: string, shape: readonly number[]): Tensor {
  const stride = padded(columnsOf(shape));
  const byteLength = bytesOf(scratch.dtype, rowsOf(shape) * stride);
  if (byteLength > scratch.byteLength) {
    throw new ShapeError(
      `viewAs: ${name} (${shape.join(", ")}) needs ${byteLength} bytes, ` +
        `${scratch.name} has ${scratch.byteLength}`,
    );
  }
  return { ...scratch, name, shape, stride, byteLength };
}

export function describe(tensor: Tensor): string {
  return `${tensor.dtype} (${tensor.shape.join(", ")})`;
}

/** Throws a {@link ShapeError} that names operation, operand, rule and value. */
export function expectShape(
  operation: string,
  operand: string,
  tensor: Tensor,
  shape: readonly number[],
  hint?: string,
): void {
  const same = tensor.shape.length === shape.length &&
    shape.every((size, axis) => size === tensor.shape[axis]);
  if (!same) {
    throw new ShapeError(
      `${operation}: ${operand} must be (${shape.join(", ")}), got (${tensor.shape.join(", ")})`,
      hint,
    );
  }
}

/** Throws a {@link ShapeError} when the tensor's format is none of those allowed. */
export function expectDType(
  operation: string,
  operand: string,
  tensor: Tensor,
  ...allowed: DType[]
): void {
  if (!allowed.includes(tensor.dtype)) {
    throw new ShapeError(
      `${operation}: ${operand} must be ${allowed.join(" or ")}, got ${tensor.dtype}`,
    );
  }
}

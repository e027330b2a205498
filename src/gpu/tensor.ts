/**
 * Tensors: a shape, a number format and a range of a GPU buffer. See numbers/layout.ts for the
 * memory layout.
 */
import { bytesOf, columnsOf, type DType, type Layout, padded, rowsOf } from "../numbers/layout.ts";
import { ShapeError } from "../numbers/shape_error.ts";

/** What a buffer is for; the categories of the memory plan. */
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

/** A matrix, or a range of its rows, in a GPU buffer. */
export interface Tensor extends Layout {
  /** Null in a memory plan, which allocates nothing, and of what lies in host memory. */
  readonly buffer: GPUBuffer | null;
  /** Set where the values lie in host memory. */
  readonly inHostMemory?: true;
  /** Bytes from `byteOffset` on, padding included. */
  readonly byteLength: number;
  /** Quantisation constants, which the codes are relative to: see numbers/constants.ts. */
  readonly constants?: Tensor;
}

/** Reads the bytes of tensors: a `Gpu`, or what keeps them in a file. */
export interface TensorReader {
  /** The bytes of a tensor, padding included (or `length` of them from `start`, multiples of 4). */
  read(tensor: Tensor, start?: number, length?: number): Promise<Uint8Array>;
  /** The same into memory at hand: as many bytes as there is room for, a multiple of 4. */
  readInto(tensor: Tensor, into: Uint8Array, start?: number): Promise<void>;
}

/** Rows at whose multiples a binding can start in any matrix, and a block of NF4. */
const ROW_STEP = 64;

/** Rows at whose multiples a range of a matrix can be bound, and no quantisation group is cut. */
export function rowStep({ stride, groupSize = 1 }: Pick<Tensor, "stride" | "groupSize">): number {
  return ROW_STEP * groupSize / greatestDivisor(groupSize, ROW_STEP * stride);
}

/** Greatest common divisor (Euclid). */
function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/**
 * A view of rows [start, end) of a matrix, sharing its buffer. If a kernel binds the view, its
 * start must satisfy the adapter's storage alignment, as every multiple of 64 rows does.
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
 * A view of elements [start, end) of a vector of float32 or uint32, sharing its buffer. If a kernel
 * binds the view, `start` must be a multiple of 64.
 */
export function elementRange(vector: Tensor, start: number, end: number): Tensor {
  return {
    ...vector,
    shape: [end - start],
    byteOffset: vector.byteOffset + 4 * start,
    byteLength: 4 * padded(end - start),
  };
}

/**
 * A view with another shape over the start of the same memory, for scratch tensors that serve
 * matrices of many sizes in turn. Its initial contents are undefined.
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

/**
 * Throws a {@link ShapeError} that names operation, operand, rule and value if the shape differs.
 */
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

/** Throws a {@link ShapeError} if the tensor's format is none of those allowed. */
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

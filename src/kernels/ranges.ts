/**
 * Ranges of tensors that one dispatch can bind and cover. A binding holds 128 MiB on many adapters
 * and a grid has 65,535 workgroups a dimension, so launchers walk larger tensors range by range.
 */
import type { KernelPass } from "../gpu/pass.ts";
import { bytesOf, padded, type Tensor } from "../gpu/tensor.ts";

/** Ranges start at multiples of this, which suits every adapter's storage alignment. */
const ALIGNMENT = 64;

/** Threads of a flat kernel's workgroup; each thread takes one quad of elements. */
export const FLAT_WORKGROUP_SIZE = 64;

/** Elements of one flat dispatch: 65,535 workgroups, 64 MiB of float32, well within a binding. */
export const FLAT_ELEMENTS = 65_535 * FLAT_WORKGROUP_SIZE * 4;

/** Splits [0, count) into [start, end) pieces of at most `most`. */
export function* spans(count: number, most: number): Generator<[start: number, end: number]> {
  for (let start = 0; start < count; start += most) {
    yield [start, Math.min(start + most, count)];
  }
}

/**
 * A view of the stored elements [start, end) of a tensor, padding counted, as one row. The start
 * must be a multiple of 128 (64 where elements have 32 bits), or zero.
 */
export function flatRange(tensor: Tensor, start: number, end: number): Tensor {
  const size = end - start;
  return {
    ...tensor,
    shape: [size],
    stride: padded(size),
    byteOffset: tensor.byteOffset + bytesOf(tensor.dtype, start),
    byteLength: bytesOf(tensor.dtype, padded(size)),
  };
}

/** Rows of which each of these matrices can bind a range at once, a multiple of 64. */
export function rowsPerBinding(pass: KernelPass, ...matrices: readonly Tensor[]): number {
  const limit = pass.gpu.limits.maxStorageBufferBindingSize;
  const widest = Math.max(...matrices.map(({ dtype, stride }) => bytesOf(dtype, stride)));
  return Math.max(1, Math.floor(limit / widest / ALIGNMENT)) * ALIGNMENT;
}

/**
 * Rows that one dispatch can bind, and cover with so many threads a row in workgroups of
 * {@link FLAT_WORKGROUP_SIZE}; a multiple of 64.
 */
export function rowsPerDispatch(
  pass: KernelPass,
  threadsPerRow: number,
  ...matrices: readonly Tensor[]
): number {
  const covered = Math.max(1, Math.floor(65_535 / threadsPerRow)) * FLAT_WORKGROUP_SIZE;
  return Math.min(covered, rowsPerBinding(pass, ...matrices));
}

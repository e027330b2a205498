/**
 * Ranges of rows that one dispatch can bind and cover. A binding holds 128 MiB on many adapters and
 * a grid has 65,535 workgroups a dimension, so launchers walk larger matrices range by range.
 * Element-wise kernels, to which rows mean nothing, take theirs from flat.ts.
 */
import type { KernelPass } from "../gpu/pass.ts";
import { bytesOf, type Tensor } from "../gpu/tensor.ts";

/** Ranges start at multiples of this, which suits every adapter's storage alignment. */
const ALIGNMENT = 64;

/**
 * Rounds of loops, over all its loops, that a thread may make in one dispatch. Mesa's software
 * adapters end every loop of a thread once it has made 65,535 (LP_MAX_TGSI_LOOP_ITERATIONS), and say
 * nothing: results are wrong. A multiple of 64; what is left is for a kernel's small loops. Cards
 * have no such limit, but that is also about what a thread does in the time that a dispatch has.
 */
export const LOOP_ROUNDS = 61_440;

/** Threads of a workgroup of the kernels that give each quad of a row a thread of its own. */
export const ROW_WORKGROUP_SIZE = 64;

/** Splits [0, count) into [start, end) pieces of at most `most`. */
export function* spans(count: number, most: number): Generator<[start: number, end: number]> {
  for (let start = 0; start < count; start += most) {
    yield [start, Math.min(start + most, count)];
  }
}

/** Rows of which each of these matrices can bind a range at once, a multiple of 64. */
export function rowsPerBinding(pass: KernelPass, ...matrices: readonly Tensor[]): number {
  const limit = pass.gpu.limits.maxStorageBufferBindingSize;
  const widest = Math.max(...matrices.map(({ dtype, stride }) => bytesOf(dtype, stride)));
  return Math.max(1, Math.floor(limit / widest / ALIGNMENT)) * ALIGNMENT;
}

/**
 * Rows that one dispatch can bind, and cover with so many threads a row in workgroups of
 * {@link ROW_WORKGROUP_SIZE}; a multiple of 64.
 */
export function rowsPerDispatch(
  pass: KernelPass,
  threadsPerRow: number,
  ...matrices: readonly Tensor[]
): number {
  const covered = Math.max(1, Math.floor(65_535 / threadsPerRow)) * ROW_WORKGROUP_SIZE;
  return Math.min(covered, rowsPerBinding(pass, ...matrices));
}

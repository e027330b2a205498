/**
 * Ranges of rows that one dispatch can bind and cover. A binding holds 128 MiB on many adapters and
 * a grid has tens of thousands of workgroups per dimension, so launchers process larger matrices
 * range by range. Element-wise kernels, which ignore rows, take theirs from flat.ts.
 */
import type { KernelPass } from "../gpu/pass.ts";
import { bytesOf } from "../numbers/layout.ts";
import type { Tensor } from "../gpu/tensor.ts";

/** Ranges start at multiples of this, which suits every adapter's storage alignment. */
const ALIGNMENT = 64;

/** Workgroup size of the kernels that use one thread per quad of a row. */
export const ROW_WORKGROUP_SIZE = 64;

/** Sides of the workgroups of kernels with a thread per octet of a row: octets by rows. */
export const TILE = { TILE: 16 };

/** A half-open range [start, end) of rows, columns or elements. */
export interface Range {
  /** The first. */
  readonly start: number;
  /** One past the last. */
  readonly end: number;
}

/** Splits [0, count) into ranges of at most `most`. */
export function ranges(count: number, most: number): Range[] {
  const all: Range[] = [];
  for (let start = 0; start < count; start += most) {
    all.push({ start, end: Math.min(start + most, count) });
  }
  return all;
}

export function lengthOf({ start, end }: Range): number {
  return end - start;
}

/** Rows of each of these matrices that fit one binding; a multiple of 64. */
export function rowsPerBinding(pass: KernelPass, ...matrices: readonly Tensor[]): number {
  const limit = pass.gpu.limits.maxStorageBufferBindingSize;
  const widest = Math.max(...matrices.map(({ dtype, stride }) => bytesOf(dtype, stride)));
  return Math.max(1, Math.floor(limit / widest / ALIGNMENT)) * ALIGNMENT;
}

/**
 * Rows that one dispatch can bind, and cover with `threadsPerRow` in workgroups of {@link
 * ROW_WORKGROUP_SIZE}; a multiple of 64.
 */
export function rowsPerDispatch(
  pass: KernelPass,
  threadsPerRow: number,
  ...matrices: readonly Tensor[]
): number {
  const { maxComputeWorkgroupsPerDimension } = pass.gpu.limits;
  const covered = Math.max(1, Math.floor(maxComputeWorkgroupsPerDimension / threadsPerRow)) *
    ROW_WORKGROUP_SIZE;
  return Math.min(covered, rowsPerBinding(pass, ...matrices));
}

/** Rows that one dispatch can bind, and cover with tiles; a multiple of 64. */
export function rowsPerTiles(pass: KernelPass, ...matrices: readonly Tensor[]): number {
  return Math.min(rowsOfGroups(pass, TILE.TILE), rowsPerBinding(pass, ...matrices));
}

/** Workgroups of tiles that cover `rows` rows of `threadsPerRow` threads. */
export function tiles(threadsPerRow: number, rows: number): [number, number] {
  return [Math.ceil(threadsPerRow / TILE.TILE), Math.ceil(rows / TILE.TILE)];
}

/** Rows that one dispatch covers by workgroups of `rowsPerGroup`; a multiple of 64 on most adapters. */
export function rowsOfGroups(pass: KernelPass, rowsPerGroup: number): number {
  const most = pass.gpu.limits.maxComputeWorkgroupsPerDimension * rowsPerGroup;
  return Math.max(1, Math.floor(most / ALIGNMENT)) * ALIGNMENT;
}

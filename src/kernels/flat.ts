/**
 * Element-wise kernels see a tensor as one flat run of stored elements, cut into ranges. A range is
 * small enough for any binding (32 MiB of float32), for 65,535 workgroups and for a quarter of a
 * second on a slow adapter, and large enough that the cost of a dispatch does not show.
 */
import type { Gpu } from "../gpu/gpu.ts";
import { bytesOf, storedElements, type Tensor } from "../gpu/tensor.ts";
import { LOOP_ROUNDS } from "./ranges.ts";

const RANGE_ELEMENTS = 1 << 23;

/** Starts of ranges fall on multiples of this: 256 bytes of the narrowest format, int4. */
const ALIGNMENT = 512;

export interface FlatRange {
  readonly start: number;
  readonly end: number;
}

/** Ranges that cover all stored elements; each starts on a multiple of `unit` (a group, a block). */
export function* flatRanges(tensor: Tensor, unit = 1): Generator<FlatRange> {
  const elements = storedElements(tensor);
  const step = leastCommonMultiple(ALIGNMENT, unit);
  const length = Math.max(1, Math.floor(RANGE_ELEMENTS / step)) * step;
  for (let start = 0; start < elements; start += length) {
    yield { start, end: Math.min(start + length, elements) };
  }
}

/** The stored elements of a range, padding included, as one row. */
export function flatView(tensor: Tensor, { start, end }: FlatRange): Tensor {
  return {
    ...tensor,
    shape: [end - start],
    stride: end - start,
    byteOffset: tensor.byteOffset + bytesOf(tensor.dtype, start),
    byteLength: bytesOf(tensor.dtype, end - start),
  };
}

/**
 * Threads that share a row or a quantisation group, for which one alone would take so many rounds of
 * loops. One where the "GPU" is a processor, whose threads are loops and whose barriers are dear,
 * unless that is beyond LOOP_ROUNDS; on a real card 32, so that neighbouring threads read
 * neighbouring addresses.
 */
export function lanesOf(gpu: Gpu, rounds: number): number {
  if (!gpu.adapter.software) return 32;
  let lanes = 1;
  while (rounds / lanes > LOOP_ROUNDS) lanes *= 2;
  return lanes;
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y) [x, y] = [y, x % y];
  return (a / x) * b;
}

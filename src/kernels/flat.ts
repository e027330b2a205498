/**
 * Element-wise kernels treat a tensor as one flat array of stored elements, split into ranges. A
 * range is small enough for any binding (128 MiB of float32), for 65,535 workgroups and for a
 * quarter of a second on a slow adapter, and large enough to make dispatch overhead negligible.
 */
import { bytesOf, storedElements } from "../numbers/layout.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Range } from "./ranges.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { strategyFor } from "./strategy.ts";

/** Ranges start at multiples of this: 256 bytes of the narrowest format, int4. */
const ALIGNMENT = 512;

/** Ranges that cover all stored elements; each starts on a multiple of `unit` (a group, a block). */
export function* flatRanges(
  { gpu }: { readonly gpu: Pick<Gpu, "capabilities"> },
  tensor: Tensor,
  unit = 1,
): Generator<Range> {
  const elements = storedElements(tensor);
  const step = leastCommonMultiple(ALIGNMENT, unit);
  const { flatElements } = strategyFor(gpu.capabilities);
  const length = Math.max(1, Math.floor(flatElements / step)) * step;
  for (let start = 0; start < elements; start += length) {
    yield { start, end: Math.min(start + length, elements) };
  }
}

/** The stored elements of a range, padding included, as one row. */
export function flatView(tensor: Tensor, { start, end }: Range): Tensor {
  return {
    ...tensor,
    shape: [end - start],
    stride: end - start,
    byteOffset: tensor.byteOffset + bytesOf(tensor.dtype, start),
    byteLength: bytesOf(tensor.dtype, end - start),
  };
}

/** Geometry of kernels with a thread per octet of a flat tensor. */
export const FLAT = { WORKGROUP_SIZE: 256 };

/** The workgroups of a dispatch of such a kernel with this number of threads. */
export function flatWorkgroups(threads: number): number {
  return Math.ceil(threads / FLAT.WORKGROUP_SIZE);
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y) [x, y] = [y, x % y];
  return (a / x) * b;
}

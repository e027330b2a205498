/** Loads a matrix that stays in host memory, in the bytes that the device makes of its rows. */
import type { Allocator } from "../gpu/allocator.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import { groupQuantize } from "../kernels/quantise/group_quantize.ts";
import type { Parameter } from "../model/parameters.ts";
import { columnsOf, storedElements } from "../numbers/layout.ts";
import { packTensor } from "../numbers/plain.ts";

/** Where the device quantises up to this many rows of it; undefined if it is not int8. */
export function createOffloadedRows(
  allocator: Allocator,
  { shape, weight: { dtype, groupSize } }: Parameter,
  rows: number,
): Tensor | undefined {
  if (dtype !== "int8") return undefined;
  return allocator.tensor({
    name: "load.offloaded",
    shape: [Math.min(shape[0], rows), shape[1]],
    dtype,
    groupSize,
    purpose: "workspace",
  });
}

/** Keeps rows from `start` on, through these buffers if they are quantised. */
export async function keepRows(
  pass: KernelPass,
  { name, weight, host }: Parameter,
  { start, values }: { readonly start: number; readonly values: Float32Array },
  through: { readonly source: Tensor; readonly offloaded?: Tensor } | undefined,
): Promise<void> {
  const { gpu } = pass, columns = columnsOf(weight.shape);
  const shape = [values.length / columns, columns];
  if (weight.dtype !== "int8") return host!.write(start, packTensor({ ...weight, shape }, values));
  const source = viewAs(through!.source, name, shape);
  const rows = rowRange(through!.offloaded!, 0, shape[0]);
  // As many groups as the rows have: the last of a matrix may end anywhere.
  const groups = Math.ceil(storedElements(rows) / rows.groupSize!);
  const constants = { ...rows.constants!, shape: [groups], byteLength: 4 * groups };
  gpu.write(source, packTensor(source, values));
  groupQuantize(pass, { source, target: { ...rows, constants } });
  pass.submit();
  const [codes, words] = await Promise.all([gpu.read(rows), gpu.read(constants)]);
  host!.write(start, codes, new Uint32Array(words.buffer));
}

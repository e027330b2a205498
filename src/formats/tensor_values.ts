/** Values of a tensor, from a device or a checkpoint: dequantised, and with an adapter merged in. */
import { rowRange, type Tensor, type TensorReader } from "../gpu/tensor.ts";
import type { Adapter, Parameter } from "../model/parameters.ts";
import { columnsOf, elementsOf } from "../numbers/layout.ts";
import { addProduct } from "../numbers/product.ts";
import { dequantize } from "../numbers/group.ts";
import { nf4Dequantize } from "../numbers/nf4.ts";
import { unpackTensor } from "../numbers/plain.ts";
import { release } from "../files/release.ts";

/** Values of a tensor, flattened: elements [start, end). */
export type ReadValues = (start: number, end: number) => Promise<Float32Array<ArrayBuffer>>;

/** Converts the bytes of row ranges of one tensor to numbers. */
export interface Unpacker {
  /** In new memory, or in that given, of their number. */
  readonly values: (
    block: Tensor,
    bytes: Uint8Array,
    memory?: Float32Array<ArrayBuffer>,
  ) => Float32Array<ArrayBuffer>;
  /** To be called once nothing is converted any more. */
  readonly release: () => void;
}

/** Reads what of a tensor is needed beside its rows. */
export async function unpacker(
  reader: TensorReader,
  { dtype, constants }: Tensor,
): Promise<Unpacker> {
  if (!constants) return { values: unpackTensor, release: () => {} };
  const bytes = new Uint8Array(constants.byteLength), words = new Uint32Array(bytes.buffer);
  await reader.readInto(constants, bytes);
  return {
    values: dtype === "nf4"
      ? (block, bytes) => nf4Dequantize(block, bytes, words)
      : (block, bytes, memory) => dequantize(block, bytes, words, memory),
    release: () => release(words),
  };
}

/** Dequantised, whole rows at a time. */
export function valuesOf(reader: TensorReader, weight: Tensor): ReadValues {
  const columns = columnsOf(weight.shape);
  let unpacking: ReturnType<typeof unpacker> | undefined;
  return async (start, end) => {
    const unpack = await (unpacking ??= unpacker(reader, weight));
    // Read in order: those of all tensors together are a hundredth of a model.
    if (end === elementsOf(weight)) unpacking = undefined;
    if (weight.shape.length === 1) {
      return unpack.values(weight, await reader.read(weight)).slice(start, end);
    }
    const first = Math.floor(start / columns);
    const rows = rowRange(weight, first, Math.ceil(end / columns));
    const values = unpack.values(rows, await reader.read(rows)), skipped = first * columns;
    return values.subarray(start - skipped, end - skipped);
  };
}

/**
 * W + s · B·A, each value rounded once. On the host, so that the model of a checkpoint, which needs no
 * device, has the bits of a run's.
 */
export function mergedValues(
  reader: TensorReader,
  { weight, isProduct }: Parameter,
  { a, b, scale }: Adapter,
): ReadValues {
  const base = isProduct ? undefined : valuesOf(reader, weight), left = valuesOf(reader, b.weight);
  const [rank, columns] = a.shape, total = elementsOf(weight);
  let kept: Promise<Float32Array> | undefined, next: number | undefined;
  return async (start, end) => {
    const first = Math.floor(start / columns), last = Math.ceil(end / columns);
    const right = kept ?? valuesOf(reader, a.weight)(0, elementsOf(a));
    // Kept while blocks follow each other, to the last: samples would keep that of every matrix.
    kept = start === next && end < total ? right : undefined;
    next = end;
    const A = await right;
    const B = await left(first * rank, last * rank), size = (last - first) * columns;
    const sum = await base?.(first * columns, last * columns) ?? new Float32Array(size);
    addProduct(sum, { left: B, right: A, rank, scale });
    return sum.subarray(start - first * columns, end - first * columns);
  };
}

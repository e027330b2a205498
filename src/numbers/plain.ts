/** Converts between JavaScript arrays and bytes with row padding, for unquantised formats. */
import { roundToBfloat16, widenBfloat16 } from "./bfloat16.ts";
import { bytesOf, columnsOf, elementsOf, type Layout, rowsOf } from "./layout.ts";
import { ShapeError } from "./shape_error.ts";

/** Packs a logical row-major array into the bytes of a float32, bfloat16, uint32 or uint8 tensor. */
export function packTensor(tensor: Layout, values: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const columns = columnsOf(tensor.shape), rows = rowsOf(tensor.shape);
  if (values.length !== rows * columns) {
    throw new ShapeError(
      `packTensor: ${tensor.name} holds ${rows * columns} elements, got ${values.length}`,
    );
  }
  const bytes = new ArrayBuffer(bytesOf(tensor.dtype, rows * tensor.stride));
  const target = elementsView(tensor, bytes), isBfloat16 = tensor.dtype === "bfloat16";
  const source = isBfloat16 && !isFloat32(values) ? Float32Array.from(values) : values;
  for (const { at, from, length } of runsOf(tensor)) {
    const run = length === source.length ? source : partOf(source, from, length);
    if (isBfloat16) {
      roundToBfloat16(run as Float32Array<ArrayBuffer>, target.subarray(at) as Uint16Array);
    } else target.set(run, at);
  }
  return new Uint8Array(bytes);
}

/** Unpacks a tensor's elements, without padding; into new memory, if none is given. */
export function unpackTensor(
  tensor: Layout,
  bytes: Uint8Array,
  into: Float32Array<ArrayBuffer> = new Float32Array(elementsOf(tensor)),
): Float32Array<ArrayBuffer> {
  const source = elementsView(tensor, bytes.buffer as ArrayBuffer, bytes.byteOffset);
  for (const { at, from, length } of runsOf(tensor)) {
    const run = source.subarray(at, at + length);
    if (tensor.dtype === "bfloat16") {
      widenBfloat16(run as Uint16Array, into.subarray(from, from + length));
    } else into.set(run, from);
  }
  return into;
}

/** Elements without padding between: all of them, or else each row. `at` counts padding, `from` not. */
function* runsOf(
  { shape, stride }: Layout,
): Generator<{ at: number; from: number; length: number }> {
  const columns = columnsOf(shape), rows = rowsOf(shape);
  if (stride === columns) return yield { at: 0, from: 0, length: rows * columns };
  for (let row = 0; row < rows; row++) {
    yield { at: row * stride, from: row * columns, length: columns };
  }
}

function isFloat32(values: ArrayLike<number>): values is Float32Array<ArrayBuffer> {
  return values instanceof Float32Array;
}

function partOf(values: ArrayLike<number>, start: number, length: number): ArrayLike<number> {
  return ArrayBuffer.isView(values)
    ? (values as Float32Array).subarray(start, start + length)
    : Array.prototype.slice.call(values, start, start + length);
}

function elementsView(tensor: Layout, buffer: ArrayBuffer, offset = 0) {
  switch (tensor.dtype) {
    case "float32":
      return new Float32Array(buffer, offset);
    case "uint32":
      return new Uint32Array(buffer, offset);
    case "bfloat16":
      return new Uint16Array(buffer, offset);
    case "uint8":
      return new Uint8Array(buffer, offset);
    default:
      throw new ShapeError(`${tensor.name}: ${tensor.dtype} is unpacked by numbers/group.ts`);
  }
}

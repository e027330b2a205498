/** Converts between JavaScript arrays and bytes with row padding, for unquantised formats. */
import { fromBfloat16, toBfloat16 } from "./bfloat16.ts";
import { bytesOf, columnsOf, type Layout, rowsOf } from "./layout.ts";
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
  const target = elementsView(tensor, bytes);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = values[row * columns + column];
      target[row * tensor.stride + column] = tensor.dtype === "bfloat16"
        ? toBfloat16(value)
        : value;
    }
  }
  return new Uint8Array(bytes);
}

/** Unpacks a tensor's elements, without padding. */
export function unpackTensor(tensor: Layout, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const columns = columnsOf(tensor.shape), rows = rowsOf(tensor.shape);
  const source = elementsView(tensor, bytes.buffer as ArrayBuffer, bytes.byteOffset);
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = source[row * tensor.stride + column];
      values[row * columns + column] = tensor.dtype === "bfloat16" ? fromBfloat16(value) : value;
    }
  }
  return values;
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

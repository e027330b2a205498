/**
 * A frozen matrix in host memory, for a table of which a pass reads only some rows: the embedding.
 * Rows are decoded on the host as the device would decode them, product by product, so that they are
 * the same bits.
 */
import { layOut, type TensorSpec } from "../gpu/allocator.ts";
import { rowRange, type Tensor } from "../gpu/tensor.ts";
import { dequantize } from "../numbers/group.ts";
import { columnsOf } from "../numbers/layout.ts";
import { unpackTensor } from "../numbers/plain.ts";
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { formatBytes } from "../text.ts";

/** Bytes of a matrix in the layout of a device's tensor. */
interface Stored {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** A word for each group of an int8 matrix. */
  readonly constants: Uint32Array<ArrayBuffer>;
}

/** A frozen (V, C) matrix in host memory: float32, bfloat16 or int8. */
export class HostMatrix {
  /** Its shape and format, as a tensor without a buffer, which no kernel takes. */
  readonly layout: Tensor;
  #stored: Stored | undefined;

  /** Takes no memory until it is written: a memory plan has one as well. */
  constructor(spec: TensorSpec) {
    const layout = layOut(spec, () => null),
      constants = layout.constants && hosted(layout.constants);
    this.layout = { ...hosted(layout), constants };
  }

  /** Sets all of it to zero, for a step that is only tried or timed: its memory is then in use. */
  clear(): void {
    const { bytes, constants } = this.#stored ??= this.#allocate();
    bytes.fill(0);
    constants.fill(0);
  }

  /**
   * Writes rows from `row` on, in the layout of a device's tensor; of int8, `row` must begin a group,
   * and `constants` are the words of the rows' groups.
   */
  write(row: number, bytes: Uint8Array, constants?: Uint32Array): void {
    const stored = this.#stored ??= this.#allocate(), { layout } = this;
    stored.bytes.set(bytes, rowRange(layout, row, row + 1).byteOffset);
    if (constants) stored.constants.set(constants, row * layout.stride / layout.groupSize!);
  }

  /** The rows of these indices: (n, C), row-major. A {@link UserError} before any is written. */
  rows(indices: Uint32Array): Float32Array<ArrayBuffer> {
    const { layout } = this;
    if (!this.#stored) {
      throw new UserError(
        `${layout.name} was not loaded, and is read from host memory`,
        "the start of a recipe must load every weight, that of a frozen embedding as well",
      );
    }
    const { bytes, constants } = this.#stored;
    const columns = columnsOf(layout.shape), values = new Float32Array(indices.length * columns);
    indices.forEach((index, at) => {
      const row = rowRange(layout, index, index + 1), { byteOffset, byteLength } = row;
      const stored = bytes.subarray(byteOffset, byteOffset + byteLength);
      const into = values.subarray(at * columns, (at + 1) * columns);
      if (layout.dtype === "int8") dequantize(row, stored, constants, into);
      else unpackTensor(row, stored, into);
    });
    return values;
  }

  #allocate(): Stored {
    const { name, byteLength, constants } = this.layout;
    try {
      return {
        bytes: new Uint8Array(byteLength),
        constants: new Uint32Array(constants?.shape[0] ?? 0),
      };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new UserError(
        `${name}: could not allocate ${formatBytes(byteLength)} of host memory`,
        phrase`leave out ${option("offloadEmbedding")}`,
      );
    }
  }
}

const hosted = (tensor: Tensor): Tensor => ({ ...tensor, inHostMemory: true });

/** The loader's interface to files of weights, whatever their format. */
import { ahead } from "../files/ahead.ts";
import { elementsOf } from "../numbers/layout.ts";

/** Elements of a block: 8 MiB in float32. */
const BLOCK = 2 << 20;

/** A tensor of a {@link WeightFile}. */
export interface WeightInfo {
  /** As in Hugging Face's checkpoints. */
  readonly name: string;
  /** Row-major, as in Hugging Face's checkpoints: (out, in) for a matrix. */
  readonly shape: readonly number[];
  /** The format's name for it: BF16, F32, Q4_K and so on. */
  readonly dtype: string;
}

/** An opened file or folder of weights, whose data is read on demand in ranges. */
export interface WeightFile {
  /** The file or folder. */
  readonly path: string;
  /** By Hugging Face's names. */
  readonly tensors: ReadonlyMap<string, WeightInfo>;
  /**
   * Elements [start, start + count) as float32, flattened; by default all of them. In memory of the
   * caller's own.
   */
  readFloat32(name: string, start?: number, count?: number): Promise<Float32Array<ArrayBuffer>>;
  /** Closes the files. */
  close(): void;
  /** {@link close}, for `using`. */
  [Symbol.dispose](): void;
}

/** All values of a tensor, a block at a time; the next is read meanwhile. */
export async function* inBlocks(
  file: WeightFile,
  { name, shape }: Pick<WeightInfo, "name" | "shape">,
): AsyncGenerator<Float32Array<ArrayBuffer>> {
  const size = elementsOf({ shape });
  const starts = Array.from({ length: Math.ceil(size / BLOCK) }, (_, index) => index * BLOCK);
  const read = (start: number) => file.readFloat32(name, start, Math.min(BLOCK, size - start));
  yield* ahead(starts, read, { bytes: () => 1, most: 1 });
}

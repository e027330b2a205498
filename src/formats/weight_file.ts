/** The loader's interface to files of weights, whatever their format. */

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
  /** Elements [start, start + count) as float32, flattened; by default all of them. */
  readFloat32(name: string, start?: number, count?: number): Promise<Float32Array<ArrayBuffer>>;
  /** Closes the files. */
  close(): void;
  /** {@link close}, for `using`. */
  [Symbol.dispose](): void;
}

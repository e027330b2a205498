/** Weights that are checked as they are read: a NaN would make every loss and every answer NaN. */
import { UserError } from "../options/user_error.ts";
import { elementsOf } from "../numbers/layout.ts";
import type { WeightFile } from "./weight_file.ts";

/** Elements counted at a time. */
const BLOCK = 1 << 20;

/**
 * The same file; reading throws a {@link UserError} that counts the values of the tensor that are
 * not finite. transformers reads them without a word.
 */
export function finiteWeights(file: WeightFile): WeightFile {
  return {
    path: file.path,
    tensors: file.tensors,
    async readFloat32(name, start, count) {
      const values = await file.readFloat32(name, start, count);
      if (countNonFinite(values) > 0) throw await faultOf(file, name);
      return values;
    },
    close: () => file.close(),
    [Symbol.dispose]: () => file.close(),
  };
}

async function faultOf(file: WeightFile, name: string): Promise<UserError> {
  const size = elementsOf(file.tensors.get(name)!);
  let bad = 0;
  for (let start = 0; start < size; start += BLOCK) {
    bad += countNonFinite(await file.readFloat32(name, start, Math.min(BLOCK, size - start)));
  }
  return new UserError(
    `${file.path}: tensor ${name}: ${bad} of ${size} values are NaN or infinite`,
    "the file is damaged, or the training that wrote it diverged: give an earlier checkpoint",
  );
}

/** By the bits, which is twice as fast as by the values. */
function countNonFinite({ buffer, byteOffset, length }: Float32Array<ArrayBuffer>): number {
  const bits = new Uint32Array(buffer, byteOffset, length);
  let count = 0;
  for (let i = 0; i < length; i++) if ((bits[i] & 0x7f800000) === 0x7f800000) count++;
  return count;
}

/** The constants of quantised formats, stored beside their codes. */
import { type DType, OCTET } from "./layout.ts";
import { NF4_BLOCK, nf4ConstantWords } from "./nf4.ts";
import { ShapeError } from "./shape_error.ts";

/** The constants of a quantised matrix: rows without padding. */
export interface ConstantsLayout {
  /**
   * (groups), a word of scale and zero point for each, for `int8` and `int4` (group_constants.ts);
   * ({@link nf4ConstantWords}), for `nf4`.
   */
  readonly shape: readonly number[];
  readonly dtype: "uint32";
  /** Elements per group. */
  readonly groupSize: number;
}

/**
 * Undefined if the format is not quantised. Throws a {@link ShapeError} on a group size that the
 * format does not support.
 *
 * @param name the tensor's, for the message
 * @param elements stored, padding included
 * @param groupSize needed for `int8` and `int4`; `nf4` always has 64
 */
export function constantsOf(
  name: string,
  dtype: DType,
  elements: number,
  groupSize?: number,
): ConstantsLayout | undefined {
  if (dtype === "nf4") {
    if ((groupSize ?? NF4_BLOCK) !== NF4_BLOCK) {
      throw new ShapeError(
        `tensor ${name}: blocks of nf4 have ${NF4_BLOCK} elements, got a group size of ${groupSize}`,
      );
    }
    return { shape: [nf4ConstantWords(elements)], dtype: "uint32", groupSize: NF4_BLOCK };
  }
  if (dtype !== "int8" && dtype !== "int4") return undefined;
  if (!(groupSize && groupSize % OCTET === 0)) {
    throw new ShapeError(
      `tensor ${name}: the group size of ${dtype} must be a multiple of ${OCTET}, got ${groupSize}`,
    );
  }
  return { shape: [Math.ceil(elements / groupSize)], dtype: "uint32", groupSize };
}

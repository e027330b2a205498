/** Kernels with an int8 and an int4 variant of the same source. */
import { ShapeError } from "../../numbers/shape_error.ts";
import { elementOffset, storedElements } from "../../numbers/layout.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { type HeldBlock, heldOf } from "../lanes.ts";
import { FLAG } from "../shader.ts";

/** The number formats of group quantisation. */
export type GroupType = "int8" | "int4";

/**
 * Key of stochastic rounding: the same key draws the same bits, so a resumed run rounds exactly as
 * an uninterrupted one. Numbers are taken modulo 2^32.
 */
export interface StochasticRounding {
  /** Seed of the run. */
  readonly seed: number;
  /** Optimizer step. */
  readonly step: number;
  /** Index of the tensor in its model. */
  readonly tensor: number;
}

/**
 * Both variants of a WGSL source written in terms of Octet, load_codes and, if it writes,
 * store_codes; `define` makes each of them.
 */
export function kernelsByGroup<T>(
  name: string,
  access: "reads" | "writes",
  define: (name: string, variants: readonly string[]) => T,
): Record<GroupType, T> {
  const library = access === "reads" ? "group" : "group_store";
  const variant = (format: GroupType) => define(`${name}.${format}`, [`${library}_${format}`]);
  return { int8: variant("int8"), int4: variant("int4") };
}

/** A group as lanes share it: an octet takes two loads, of float32. */
export function heldGroup(groupSize: number): HeldBlock {
  return { octets: groupSize / 8, loads: 2 };
}

/** What lanes hold of groups, also of sizes between these; of a larger one only a card's hold all. */
export const HELD_IN_GROUPS: readonly number[] = heldOf(...[64, 128, 256].map(heldGroup));

/** The values of the constant STOCHASTIC: rounding to nearest, or with a key. */
export const STOCHASTIC = FLAG;

/** That constant, and the parameters that are the key. */
export function roundingBy(rounding?: StochasticRounding) {
  const { seed, step, tensor } = rounding ?? { seed: 0, step: 0, tensor: 0 };
  return {
    constants: { STOCHASTIC: rounding ? 1 : 0 },
    params: { seed: seed >>> 0, step: step >>> 0, tensor: tensor >>> 0 },
  };
}

/** Refuses a row range of a quantised matrix that starts or ends inside a group. */
export function expectWholeGroups(operation: string, operand: string, tensor: Tensor): void {
  const { groupSize, constants } = tensor;
  const start = elementOffset(tensor), end = start + storedElements(tensor);
  const ends = end % groupSize! === 0 || Math.ceil(end / groupSize!) === constants!.shape[0];
  if (start % groupSize! === 0 && ends) return;
  throw new ShapeError(
    `${operation}: ${operand} must be whole groups of ${groupSize}, ` +
      `got elements ${start} to ${end} of ${tensor.name}`,
    "take rows that begin and end where a group does",
  );
}

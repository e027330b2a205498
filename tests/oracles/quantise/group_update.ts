/** weight = requantise(decay · dequantise(weight) + update) in plain loops, over stored elements. */
import { applyUpdate } from "../optim/apply_update.ts";
import {
  groupDequantize,
  type GroupOptions,
  groupQuantize,
  type Quantised,
  withPadding,
} from "./group_quantize.ts";

/** `update` is logical; `weight` and the result are stored, row padding included. */
export function groupUpdate(
  weight: Quantised,
  update: Float32Array,
  decay: number,
  options: GroupOptions,
): Quantised {
  const old = groupDequantize(weight, options.groupSize, options.levels);
  const updated = applyUpdate(old, withPadding(update, options.columns), decay);
  return groupQuantize(updated, { ...options, columns: updated.length });
}

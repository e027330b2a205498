/** The moving average of a gradient, in float32 or in 8 bits: the state of rules with momentum. */
import type { Allocator } from "../../gpu/allocator.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { elementRange, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { ADAM_BLOCK, adamBlocks } from "../../kernels/optim/adam_blockwise.ts";
import { type Momentum, momentum as average } from "../../kernels/optim/momentum.ts";
import { momentum8bit as average8bit } from "../../kernels/optim/momentum_8bit.ts";
import { elementsOf } from "../../numbers/layout.ts";
import { LEAST_8BIT_ELEMENTS } from "./adam.ts";

export type MomentumState = {
  readonly momentum: Tensor; // the gradient's shape: float32, or uint8 codes with absmax
  readonly absmax?: Tensor; // (blocks of 256) float32
};

/** With 8 bits only from {@link LEAST_8BIT_ELEMENTS} on. */
export function createMomentumState(
  allocator: Allocator,
  name: string,
  shape: readonly number[],
  bits: 8 | 32,
): MomentumState {
  const narrow = bits === 8 && elementsOf({ shape }) >= LEAST_8BIT_ELEMENTS;
  const make = (label: string, of: readonly number[], dtype: "float32" | "uint8") =>
    allocator.tensor({ name: `${name}.${label}`, shape: of, dtype, purpose: "optimizer_state" });
  const momentum = make("momentum", shape, narrow ? "uint8" : "float32");
  if (!narrow) return { momentum };
  return { momentum, absmax: make("momentum.absmax", [adamBlocks(momentum)], "float32") };
}

/** The state of rows [start, end). */
export function momentumOfRows(
  { momentum, absmax }: MomentumState,
  start: number,
  end: number,
): MomentumState {
  const [first, last] = [start, end].map((row) => Math.ceil(row * momentum.stride / ADAM_BLOCK));
  return {
    momentum: rowRange(momentum, start, end),
    absmax: absmax && elementRange(absmax, first, last),
  };
}

/** Takes a gradient into the average, and writes the update. */
export function updateMomentum(
  pass: KernelPass,
  { momentum, absmax }: MomentumState,
  io: Omit<Momentum, "momentum">,
): void {
  if (absmax) average8bit(pass, { ...io, momentum, absmax });
  else average(pass, { ...io, momentum });
}

/** Adam's moments, in 8 or 32 bits, and its step. Weight decay is decoupled: kernels/apply_update. */
import type { Allocator } from "../gpu/allocator.ts";
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { adam, type AdamRates } from "../kernels/adam.ts";
import { adam8bit, adamBlocks } from "../kernels/adam_8bit.ts";

/** Smaller tensors keep float32 moments, as in bitsandbytes (min_8bit_size). */
const LEAST_8BIT_ELEMENTS = 4096;

/** The moments of a tensor. Fresh from the allocator, all bytes zero, they are zero. */
export interface AdamState {
  readonly m: Tensor; // the tensor's shape: float32, or uint8 codes with absmaxM
  readonly v: Tensor;
  readonly absmaxM?: Tensor; // (blocks of 256) float32
  readonly absmaxV?: Tensor;
}

export function createAdamState(
  allocator: Allocator,
  name: string,
  shape: readonly number[],
  bits: 8 | 32,
): AdamState {
  const elements = shape.reduce((product, size) => product * size, 1);
  const narrow = bits === 8 && elements >= LEAST_8BIT_ELEMENTS;
  const make = (label: string, of: readonly number[], dtype: "float32" | "uint8") =>
    allocator.tensor({ name: `${name}.${label}`, shape: of, dtype, purpose: "optimizer_state" });
  const dtype = narrow ? "uint8" : "float32";
  const m = make("m", shape, dtype), v = make("v", shape, dtype);
  if (!narrow) return { m, v };
  const blocks = [adamBlocks(m)];
  return {
    m,
    v,
    absmaxM: make("m.absmax", blocks, "float32"),
    absmaxV: make("v.absmax", blocks, "float32"),
  };
}

export interface AdamStep extends AdamRates {
  readonly gradient: Tensor; // float32; overwritten with the update −lr · m̂ / (√v̂ + ε)
  readonly state: AdamState; // of the gradient's shape; overwritten
}

/** One step, in the format of the state. Throws {@link ShapeError} on another shape. */
export function adamStep(pass: KernelPass, { state, ...io }: AdamStep): void {
  const { m, v, absmaxM, absmaxV } = state;
  if (absmaxM && absmaxV) adam8bit(pass, { ...io, m, v, absmaxM, absmaxV });
  else adam(pass, { ...io, m, v });
}

/** Adam with 32-bit or 8-bit moments. Weight decay is decoupled: kernels/apply_update. */
import type { Allocator } from "../../gpu/allocator.ts";
import { elementRange, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { elementsOf } from "../../numbers/layout.ts";
import { adam } from "../../kernels/optim/adam.ts";
import { adam8bit, ADAM_BLOCK, adamBlocks } from "../../kernels/optim/adam_8bit.ts";
import type { UpdateRule } from "./rule.ts";

/** Smaller tensors keep float32 moments, as in bitsandbytes (min_8bit_size). */
export const LEAST_8BIT_ELEMENTS = 4096;

export type AdamState = {
  readonly m: Tensor; // the gradient's shape: float32, or uint8 codes with absmax_m
  readonly v: Tensor;
  readonly absmax_m?: Tensor; // (blocks of 256) float32
  readonly absmax_v?: Tensor;
};

function adamRule(bits: 8 | 32): UpdateRule<AdamState> {
  return {
    label: "adam",
    createState: (allocator, name, shape) => createState(allocator, name, shape, bits),
    matmuls: () => [],
    rows: stateOfRows,
    record(pass, { gradient, state: { m, v, absmax_m, absmax_v }, step, lr, rates }) {
      const { beta1, beta2, adamEps: eps } = rates;
      const io = { gradient, m, v, step, lr, beta1, beta2, eps };
      if (absmax_m && absmax_v) adam8bit(pass, { ...io, absmaxM: absmax_m, absmaxV: absmax_v });
      else adam(pass, io);
    },
  };
}

/** Adam with float32 moments (Kingma & Ba 2015). */
export const adam32: UpdateRule<AdamState> = adamRule(32);

/** Adam with 8-bit moments in blocks of 256 (Dettmers et al. 2022). */
export const adam8: UpdateRule<AdamState> = adamRule(8);

function createState(
  allocator: Allocator,
  name: string,
  shape: readonly number[],
  bits: 8 | 32,
): AdamState {
  const elements = elementsOf({ shape });
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
    absmax_m: make("m.absmax", blocks, "float32"),
    absmax_v: make("v.absmax", blocks, "float32"),
  };
}

function stateOfRows({ m, v, absmax_m, absmax_v }: AdamState, start: number, end: number) {
  const rows = (moment: Tensor) => rowRange(moment, start, end);
  const maxima = (absmax: Tensor | undefined) =>
    absmax && elementRange(
      absmax,
      start * m.stride / ADAM_BLOCK,
      Math.ceil(end * m.stride / ADAM_BLOCK),
    );
  return { m: rows(m), v: rows(v), absmax_m: maxima(absmax_m), absmax_v: maxima(absmax_v) };
}

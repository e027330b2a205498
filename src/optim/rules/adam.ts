/** Adam with 32-bit, 8-bit or 4-bit moments. Weight decay is decoupled: kernels/apply_update. */
import type { Allocator } from "../../gpu/allocator.ts";
import { elementRange, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { elementsOf } from "../../numbers/layout.ts";
import { adam } from "../../kernels/optim/adam.ts";
import {
  adam4bit,
  adam8bit,
  ADAM_4BIT_BLOCK,
  ADAM_BLOCK,
  adamBlocks,
} from "../../kernels/optim/adam_blockwise.ts";
import type { UpdateRule } from "./rule.ts";

/** Smaller tensors keep float32 moments, as in bitsandbytes (min_8bit_size) and torchao. */
export const LEAST_8BIT_ELEMENTS = 4096;

export type AdamState = {
  readonly m: Tensor; // the gradient's shape: float32, or uint8 or uint4 codes with absmax_m
  readonly v: Tensor;
  readonly absmax_m?: Tensor; // (blocks) float32
  readonly absmax_v?: Tensor;
};

/** How moments are stored that are not float32. */
interface Narrow {
  readonly dtype: "uint8" | "uint4";
  readonly block: number;
  readonly step: typeof adam8bit;
}

function adamRule(narrow?: Narrow): UpdateRule<AdamState> {
  return {
    label: "adam",
    createState: (allocator, name, shape) => createState(allocator, name, shape, narrow),
    matmuls: () => [],
    rows: (state, start, end) => stateOfRows(state, start, end, narrow?.block),
    record(pass, { gradient, state: { m, v, absmax_m, absmax_v }, step, lr, rates }) {
      const { beta1, beta2, adamEps: eps } = rates;
      const io = { gradient, m, v, step, lr, beta1, beta2, eps };
      if (!(absmax_m && absmax_v)) return adam(pass, io);
      narrow!.step(pass, { ...io, absmaxM: absmax_m, absmaxV: absmax_v });
    },
  };
}

/** Adam with float32 moments (Kingma & Ba 2015). */
export const adam32: UpdateRule<AdamState> = adamRule();

/** Adam with 8-bit moments in blocks of 256 (Dettmers et al. 2022). */
export const adam8: UpdateRule<AdamState> = adamRule({
  dtype: "uint8",
  block: ADAM_BLOCK,
  step: adam8bit,
});

/** Adam with 4-bit moments in blocks of 128 (after Li et al. 2023). */
export const adam4: UpdateRule<AdamState> = adamRule({
  dtype: "uint4",
  block: ADAM_4BIT_BLOCK,
  step: adam4bit,
});

function createState(
  allocator: Allocator,
  name: string,
  shape: readonly number[],
  narrow?: Narrow,
): AdamState {
  const isNarrow = narrow && elementsOf({ shape }) >= LEAST_8BIT_ELEMENTS;
  const make = (label: string, of: readonly number[], dtype: "float32" | Narrow["dtype"]) =>
    allocator.tensor({ name: `${name}.${label}`, shape: of, dtype, purpose: "optimizer_state" });
  const dtype = isNarrow ? narrow.dtype : "float32";
  const m = make("m", shape, dtype), v = make("v", shape, dtype);
  if (!isNarrow) return { m, v };
  const blocks = [adamBlocks(m, narrow.block)];
  return {
    m,
    v,
    absmax_m: make("m.absmax", blocks, "float32"),
    absmax_v: make("v.absmax", blocks, "float32"),
  };
}

function stateOfRows(
  { m, v, absmax_m, absmax_v }: AdamState,
  start: number,
  end: number,
  block = 1,
): AdamState {
  const rows = (moment: Tensor) => rowRange(moment, start, end);
  const maxima = (absmax: Tensor | undefined) =>
    absmax && elementRange(absmax, start * m.stride / block, Math.ceil(end * m.stride / block));
  return { m: rows(m), v: rows(v), absmax_m: maxima(absmax_m), absmax_v: maxima(absmax_v) };
}

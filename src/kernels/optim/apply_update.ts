import code from "../../../shaders/optim/apply_update.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { elementOffset } from "../../numbers/layout.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { FLAT, flatRanges, flatView, flatWorkgroups } from "../flat.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { roundingBy, STOCHASTIC, type StochasticRounding } from "../quantise/group_format.ts";
import { groupUpdate } from "../quantise/group_update.ts";

const kernels = kernelByFormat("apply_update", code, { constants: { ...FLAT, STOCHASTIC } });

/** Operands of {@link applyUpdate}. */
export interface ApplyUpdate {
  /** float32, bfloat16, int8 or int4; overwritten. */
  readonly weight: Tensor;
  /** float32, in the shape of weight. */
  readonly update: Tensor;
  /** Factor applied to the old weight: 1 − lr · weight decay. */
  readonly decay: number;
  /** Rounds stochastically; to nearest if absent. Has no effect on float32. */
  readonly rounding?: StochasticRounding;
}

/**
 * weight = decay · weight + update, in the weight's own format; rows in several ranges get the bits
 * that all at once would. The decay is decoupled and applies
 * to the old weight, as in AdamW (Loshchilov & Hutter 2019, algorithm 2) and bitsandbytes; Q-GaLore
 * applies it after the update, a second-order difference of lr · weight decay · update. Throws
 * {@link ShapeError} on operands that do not match.
 */
export function applyUpdate(pass: KernelPass, io: ApplyUpdate): void {
  const { weight, update, decay, rounding } = io;
  if (weight.constants) return groupUpdate(pass, io);
  expectDType("applyUpdate", "update", update, "float32");
  expectShape("applyUpdate", "update", update, weight.shape);
  const kernel = forFormat(kernels, "applyUpdate", weight), offset = elementOffset(weight);
  const key = roundingBy(weight.dtype === "bfloat16" ? rounding : undefined);
  for (const range of flatRanges(pass, weight)) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel,
      constants: key.constants,
      operands: { weight: flatView(weight, range), update: flatView(update, range) },
      params: {
        octets,
        first_octet: (offset + range.start) / 8,
        decay,
        ...key.params,
      },
      workgroups: [flatWorkgroups(octets)],
    });
  }
}

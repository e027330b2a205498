/** Adam's step with float32 moments. */
import code from "../../../shaders/optim/adam.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { flatRanges, flatView } from "../flat.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 256;

const kernel = shader("adam", code, { constants: { WORKGROUP_SIZE } });

/** The parameters shared by both kernels of Adam's step. */
export interface AdamRates {
  /** Counted from 1. */
  readonly step: number;
  /** Learning rate. */
  readonly lr: number;
  /** Decay of the first moment. */
  readonly beta1: number;
  /** Decay of the second moment. */
  readonly beta2: number;
  /** Added to the denominator. */
  readonly eps: number;
}

/** Operands of {@link adam}. */
export interface Adam extends AdamRates {
  /** float32, overwritten with the update. */
  readonly gradient: Tensor;
  /** float32, the shape of the gradient, overwritten. */
  readonly m: Tensor;
  /** float32, the shape of the gradient, overwritten. */
  readonly v: Tensor;
}

/**
 * gradient ← −lr · m̂ / (√v̂ + ε), with float32 moments. Kingma & Ba 2015, algorithm 1; bias
 * correction as in bitsandbytes. Throws {@link ShapeError} on operands that do not match.
 */
export function adam(pass: KernelPass, io: Adam): void {
  const { gradient, m, v } = io;
  for (const [name, operand] of Object.entries({ gradient, m, v })) {
    expectDType("adam", name, operand, "float32");
    expectShape("adam", name, operand, gradient.shape);
  }
  for (const range of flatRanges(pass, gradient)) {
    const quads = (range.end - range.start) / 4;
    pass.dispatch({
      kernel,
      operands: {
        gradient: flatView(gradient, range),
        m: flatView(m, range),
        v: flatView(v, range),
      },
      params: { quads, ...adamParameters(io) },
      workgroups: [Math.ceil(quads / WORKGROUP_SIZE)],
    });
  }
}

/** √(1 − β2^t) / (1 − β1^t): what the correction of both moments' bias multiplies an update by. */
export function biasCorrection(
  { step, beta1, beta2 }: Pick<AdamRates, "step" | "beta1" | "beta2">,
): number {
  return Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step);
}

/** The parameters of both kernels, computed in float64. */
export function adamParameters({ step, lr, beta1, beta2, eps }: AdamRates) {
  const correction1 = 1 - beta1 ** step, correction2 = Math.sqrt(1 - beta2 ** step);
  return {
    beta1,
    beta2,
    fresh1: 1 - beta1,
    fresh2: 1 - beta2,
    step_size: (lr * correction2) / correction1,
    eps: eps * correction2,
  };
}

import code from "../../../shaders/optim/limit_growth.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("limit_growth", code, { constants: { WORKGROUP_SIZE } });

/** The authors' γ, of Fira and of APOLLO: how much the norm of an update may grow in a step. */
export const GROWTH = 1.01;
/** What both add to the norm that another is divided by. */
export const NORM_EPS = 1e-8;

/** Operands of {@link limitGrowth}. */
export interface LimitGrowth {
  /** (count) float32: what channels are to be multiplied by; made smaller where the norm is limited. */
  readonly factors: Tensor;
  /** (count) float32: sums of the channels' squares, before they are multiplied. */
  readonly squares: Tensor;
  /** (1) float32: the norm of the last step, overwritten. Zero before the first. */
  readonly last: Tensor;
  /** How much the norm may grow in a step: a factor. */
  readonly gamma: number;
}

/**
 * The norm-growth limiter: with the norm √Σ factors²·squares, the factors are multiplied by what keeps
 * it at most `gamma` times the last, which then becomes this one. A first step is not limited. Chen et
 * al. 2024, "Fira", section 4.2. Throws {@link ShapeError} on operands that do not match.
 */
export function limitGrowth(pass: KernelPass, io: LimitGrowth): void {
  const { factors, squares, last, gamma } = io;
  for (const [name, operand] of Object.entries({ factors, squares, last })) {
    expectDType("limitGrowth", name, operand, "float32");
  }
  expectShape("limitGrowth", "squares", squares, factors.shape);
  expectShape("limitGrowth", "last", last, [1]);
  pass.dispatch({
    kernel,
    operands: { factors, squares, last },
    params: { count: factors.shape[0], gamma },
    workgroups: [1],
  });
}

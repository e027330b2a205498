import code from "../../../shaders/optim/norm_ratios.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("norm_ratios", code, { constants: { WORKGROUP_SIZE } });

/** Operands of {@link normRatios}. */
export interface NormRatios {
  /** (count) float32: sums of squares. */
  readonly over: Tensor;
  /** (count) float32: sums of squares. */
  readonly under: Tensor;
  /** (count) float32, overwritten; in a buffer of its own. */
  readonly out: Tensor;
  /** Of each ratio. */
  readonly scale: number;
  /** Added to the norm below. */
  readonly eps: number;
}

/**
 * out ← scale · √over / (√under + eps), and 0 where `under` is 0. Throws {@link ShapeError} on
 * operands that do not match.
 */
export function normRatios(pass: KernelPass, io: NormRatios): void {
  const { over, under, out, scale, eps } = io;
  for (const [name, operand] of Object.entries({ over, under, out })) {
    expectDType("normRatios", name, operand, "float32");
    expectShape("normRatios", name, operand, under.shape);
  }
  const count = under.shape[0];
  pass.dispatch({
    kernel,
    operands: { over, under, out },
    params: { count, scale, eps },
    workgroups: [Math.ceil(count / WORKGROUP_SIZE)],
  });
}

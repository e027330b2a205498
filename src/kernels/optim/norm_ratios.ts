import code from "../../../shaders/optim/norm_ratios.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("norm_ratios", code, { constants: { WORKGROUP_SIZE } });

/** Operands of {@link normRatios}. */
export interface NormRatios {
  /** (count) float32: sums of squares; 1 each if absent. */
  readonly over?: Tensor;
  /** (count) float32: sums of squares. */
  readonly under: Tensor;
  /** (count) float32, overwritten; in a buffer of its own. */
  readonly out: Tensor;
  /** Of each ratio. */
  readonly scale: number;
  /** The least norm to divide by; 0 by default. */
  readonly least?: number;
  /** Added to the norm below; 0 by default. */
  readonly eps?: number;
}

/**
 * out ← scale · √over / (max(√under, least) + eps), and 0 where `under` is 0. Throws
 * {@link ShapeError} on operands that do not match.
 */
export function normRatios(pass: KernelPass, io: NormRatios): void {
  const { over = io.under, under, out, scale, least = 0, eps = 0 } = io;
  for (const [name, operand] of Object.entries({ over, under, out })) {
    expectDType("normRatios", name, operand, "float32");
    expectShape("normRatios", name, operand, under.shape);
  }
  const count = under.shape[0];
  pass.dispatch({
    kernel,
    operands: { over, under, out },
    params: { count, inverse: io.over ? 0 : 1, scale, least, eps },
    workgroups: [Math.ceil(count / WORKGROUP_SIZE)],
  });
}

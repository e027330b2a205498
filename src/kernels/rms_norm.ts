import code from "../../shaders/rms_norm.wgsl" with { type: "text" };
import type { KernelPass } from "../gpu/pass.ts";
import { columnsOf, expectDType, expectShape, rowsOf, type Tensor } from "../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "./format.ts";

const kernels = kernelByFormat("rms_norm", code);

/** A thread a row; small, so that a few hundred rows still occupy every core. */
const WORKGROUP_SIZE = 64;

export interface RmsNorm {
  readonly x: Tensor; // (N, C) float32 or bfloat16
  readonly weight: Tensor; // (C) float32
  readonly y: Tensor; // (N, C) overwritten, the format of x
  readonly rstd: Tensor; // (N) float32, overwritten
  readonly eps: number;
}

/**
 * y = weight · x · rstd, with rstd = 1 / sqrt(mean(x²) + eps) saved for the backward pass.
 * Zhang & Sennrich 2019, equation 4. Throws {@link ShapeError} on operands that do not match.
 */
export function rmsNorm(pass: KernelPass, { x, weight, y, rstd, eps }: RmsNorm): void {
  const rows = rowsOf(x.shape), columns = columnsOf(x.shape);
  expectDType("rmsNorm", "weight", weight, "float32");
  expectShape("rmsNorm", "weight", weight, [columns]);
  expectShape("rmsNorm", "y", y, x.shape);
  expectShape("rmsNorm", "rstd", rstd, [rows]);
  pass.dispatch({
    kernel: forFormat(kernels, "rmsNorm", x, y),
    constants: { WORKGROUP_SIZE },
    operands: { x, weight, y, rstd },
    params: { rows, columns, quads: x.stride / 4, eps },
    workgroups: [Math.ceil(rows / WORKGROUP_SIZE)],
  });
}

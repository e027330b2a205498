import code from "../../shaders/rms_norm.wgsl" with { type: "text" };
import type { KernelPass } from "../gpu/pass.ts";
import {
  columnsOf,
  expectDType,
  expectShape,
  rowRange,
  rowsOf,
  type Tensor,
} from "../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "./format.ts";
import { ROW_WORKGROUP_SIZE, rowsPerDispatch, spans } from "./ranges.ts";

const kernels = kernelByFormat("rms_norm", code);

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
  const kernel = forFormat(kernels, "rmsNorm", x, y);
  for (const [start, end] of spans(rows, rowsPerDispatch(pass, 1, x))) {
    pass.dispatch({
      kernel,
      constants: { WORKGROUP_SIZE: ROW_WORKGROUP_SIZE },
      operands: { x: rowRange(x, start, end), weight, y: rowRange(y, start, end), rstd },
      params: { rows: end - start, row: start, columns, quads: x.stride / 4, eps },
      workgroups: [Math.ceil((end - start) / ROW_WORKGROUP_SIZE)],
    });
  }
}

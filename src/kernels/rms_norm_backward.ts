import code from "../../shaders/rms_norm_backward.wgsl" with { type: "text" };
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
import { rowsPerBinding, spans } from "./ranges.ts";

const kernels = kernelByFormat("rms_norm_backward", code);

const WORKGROUP_SIZE = 64;

export interface RmsNormBackward {
  readonly dy: Tensor; // (N, C) float32 or bfloat16
  readonly x: Tensor; // (N, C)
  readonly weight: Tensor; // (C) float32
  readonly rstd: Tensor; // (N) float32, saved by rmsNorm
  dx: Tensor; // (N, C) added to
  partial: Tensor; // (G, C) float32, overwritten: sumRows makes it dweight
}

/**
 * Records one dispatch of G workgroups, G = `partial.shape[0]` (one a range of rows, where N rows
 * exceed a binding). Throws {@link ShapeError} on operands that do not match.
 */
export function rmsNormBackward(
  pass: KernelPass,
  { dy, x, weight, rstd, dx, partial }: RmsNormBackward,
): void {
  const rows = rowsOf(x.shape), columns = columnsOf(x.shape), groups = rowsOf(partial.shape);
  expectShape("rmsNormBackward", "dy", dy, x.shape);
  expectDType("rmsNormBackward", "weight", weight, "float32");
  expectShape("rmsNormBackward", "weight", weight, [columns]);
  expectDType("rmsNormBackward", "rstd", rstd, "float32");
  const hint = "was it saved by a forward pass over another batch?";
  expectShape("rmsNormBackward", "rstd", rstd, [rows], hint);
  expectShape("rmsNormBackward", "dx", dx, x.shape);
  expectDType("rmsNormBackward", "partial", partial, "float32");
  expectShape("rmsNormBackward", "partial", partial, [groups, columns]);
  const kernel = forFormat(kernels, "rmsNormBackward", dy, x, dx);
  for (const [start, end] of spans(rows, rowsPerBinding(pass, x))) {
    pass.dispatch({
      kernel,
      constants: { WORKGROUP_SIZE },
      operands: {
        dy: rowRange(dy, start, end),
        x: rowRange(x, start, end),
        weight,
        rstd,
        dx: rowRange(dx, start, end),
        partial_sums: partial,
      },
      params: {
        rows: end - start,
        row: start,
        group_rows: Math.ceil((end - start) / groups),
        columns,
        quads: x.stride / 4,
        accumulate: start > 0 ? 1 : 0,
      },
      workgroups: [groups],
    });
  }
}

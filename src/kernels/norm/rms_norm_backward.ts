import code from "../../../shaders/norm/rms_norm_backward.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { flatView } from "../flat.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { ranges, rowsPerBinding } from "../ranges.ts";
import { LOOP_ROUNDS } from "../strategy.ts";
import { FLAG } from "../shader.ts";

const WORKGROUP_SIZE = 64;

const constants = { WORKGROUP_SIZE, ACCUMULATE: FLAG };
const kernels = kernelByFormat("rms_norm_backward", code, {
  variants: ["gradient_apart"],
  constants,
});
const kernelsInPlace = kernelByFormat("rms_norm_backward.in_place", code, {
  variants: ["gradient_in_place"],
  constants,
});

/** Operands of {@link rmsNormBackward}. */
export interface RmsNormBackward {
  /** (N, C) float32 or bfloat16. */
  readonly dy: Tensor;
  /** (N, C). */
  readonly x: Tensor;
  /** (C) float32. */
  readonly weight: Tensor;
  /** (N) float32, saved by rmsNorm. */
  readonly rstd: Tensor;
  /** (N, C) overwritten; may then be the same tensor as dy. */
  readonly dx: Tensor;
  /** (G, C) float32, overwritten: sumRows reduces it to dweight. */
  readonly partial: Tensor;
  /** Same as in the forward pass. */
  readonly offset?: 0 | 1;
  /** Adds to dx, which must then be a different tensor from dy. */
  readonly accumulate?: boolean;
}

/**
 * Records one dispatch of G workgroups, G = `partial.shape[0]` (one a range of rows, where N rows
 * exceed a binding or what G workgroups may do at once). A row is one thread's work, so 64 rows a
 * workgroup keep a card busy; where rows are short and many, give them more workgroups. Throws
 * {@link ShapeError} on operands that do not match.
 */
export function rmsNormBackward(pass: KernelPass, io: RmsNormBackward): void {
  const { dy, x, weight, rstd, dx, partial, offset = 0, accumulate = false } = io;
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
  const together = dx.buffer === dy.buffer && dx.byteOffset === dy.byteOffset;
  if (together && accumulate) {
    throw new ShapeError(
      "rmsNormBackward: dx must be another tensor than dy, to be added to",
      "without `accumulate` dy is overwritten",
    );
  }
  const kernel = forFormat(together ? kernelsInPlace : kernels, "rmsNormBackward", dy, x, dx);
  const quads = x.stride / 4;
  for (const { start, end } of ranges(rows, rowsAtOnce(pass, x, groups))) {
    pass.dispatch({
      kernel,
      constants: { ACCUMULATE: accumulate ? 1 : 0 },
      operands: {
        dy: rowRange(dy, start, end),
        x: rowRange(x, start, end),
        weight,
        rstd: flatView(rstd, { start, end }),
        dx: rowRange(dx, start, end),
        partial_sums: partial,
      },
      params: {
        rows: end - start,
        group_rows: Math.ceil((end - start) / groups),
        columns,
        quads,
        offset,
        add_partial: start > 0 ? 1 : 0,
      },
      workgroups: [groups],
    });
  }
}

/** Rows that can be bound at once and that keep each thread within {@link LOOP_ROUNDS}. */
function rowsAtOnce(pass: KernelPass, x: Tensor, groups: number): number {
  const quads = x.stride / 4;
  // For every 64 rows of a workgroup, a thread loops twice over one row and once down its columns.
  const rounds = 2 * quads + 1 + Math.ceil(quads / WORKGROUP_SIZE) * (WORKGROUP_SIZE + 1);
  const most = Math.max(1, Math.floor(LOOP_ROUNDS / rounds)) * WORKGROUP_SIZE * groups;
  return Math.min(most, rowsPerBinding(pass, x));
}

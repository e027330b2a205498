import code from "../../../shaders/norm/rms_norm_backward.wgsl" with { type: "text" };
import rowsCode from "../../../shaders/norm/rms_norm_backward_rows.wgsl" with { type: "text" };
import weightCode from "../../../shaders/norm/rms_norm_backward_weight.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { Kernel } from "../../gpu/kernel.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { flatView } from "../flat.ts";
import { formatOf, kernelByFormat } from "../format.ts";
import {
  HELD,
  kernelByFormatAndLanes,
  type KernelByLanes,
  lanesFor,
  rowsBySubgroup,
  sharedBy,
} from "../lanes.ts";
import { ranges, rowsOfGroups, rowsPerBinding } from "../ranges.ts";
import { LOOP_ROUNDS, STRATEGIES, strategyFor } from "../strategy.ts";
import { FLAG } from "../shader.ts";

const constants = { ACCUMULATE: FLAG };
const COLUMNS = STRATEGIES.card;
/** Rows of a group at a time, as in the WGSL. */
const ROWS = 8;
const kernels = kernelByFormatAndLanes("rms_norm_backward", code, {
  variants: ["gradient_apart"],
  constants,
});
const kernelsInPlace = kernelByFormatAndLanes("rms_norm_backward.in_place", code, {
  variants: ["gradient_in_place"],
  constants,
});
/** dx and the sums in one, in place or not. */
const rowsKernels = [false, true].map((inPlace) =>
  kernelByFormatAndLanes(`rms_norm_backward_rows${inPlace ? ".in_place" : ""}`, rowsCode, {
    variants: [inPlace ? "gradient_in_place" : "gradient_apart"],
    heldOfBlock: HELD.rows,
    constants,
  })
);
const weightKernels = kernelByFormat("rms_norm_backward_weight", weightCode, {
  constants: { LANES: COLUMNS.columnLanes, WORKGROUP_SIZE: COLUMNS.columnWorkgroup },
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
 * dx, and G partial sums of the weight's gradient, G = `partial.shape[0]`: each over a Gth of the
 * rows. Throws {@link ShapeError} on operands that do not match.
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
  const format = formatOf("rmsNormBackward", dy, x, dx), octets = x.stride / 8;
  if (strategyFor(pass.gpu.capabilities).groupsOfRows) {
    return byGroups(pass, io, together, rowsKernels[together ? 1 : 0][format]);
  }
  // Before dx overwrites dy.
  weightGradient(pass, io, weightKernels[format]);
  const { kernel, constants, rowsPerGroup } = sharedBy(
    pass,
    (together ? kernelsInPlace : kernels)[format],
    lanesFor(pass.gpu, octets, 2 * octets),
  );
  const most = Math.min(rowsOfGroups(pass, rowsPerGroup), rowsPerBinding(pass, x));
  for (const range of ranges(rows, most)) {
    const { start, end } = range;
    pass.dispatch({
      kernel,
      constants: { ...constants, ACCUMULATE: accumulate ? 1 : 0 },
      operands: {
        dy: together ? undefined : rowRange(dy, start, end),
        x: rowRange(x, start, end),
        weight,
        rstd: flatView(rstd, range),
        dx: rowRange(dx, start, end),
      },
      params: { rows: end - start, columns, octets, offset },
      workgroups: [Math.ceil((end - start) / rowsPerGroup)],
    });
  }
}

/** All by threads that own a group of rows each. */
function byGroups(
  pass: KernelPass,
  { dy, x, weight, rstd, dx, partial, offset = 0, accumulate = false }: RmsNormBackward,
  together: boolean,
  kernels: KernelByLanes,
): void {
  const groups = rowsOf(partial.shape), octets = x.stride / 8;
  const { kernel, constants, rowsPerGroup } = rowsBySubgroup(pass, kernels, octets);
  // Two loops over the octets for each few rows, and one to clear the sums.
  const { loopRounds } = strategyFor(pass.gpu.capabilities);
  const most = ROWS * Math.max(1, Math.floor(loopRounds / (2 * octets + 1)) - 1);
  for (const range of ranges(rowsOf(x.shape), rowsPerBinding(pass, x))) {
    const { start, end } = range, rows = end - start;
    const group_rows = Math.ceil(rows / groups), add_partial = start > 0 ? 1 : 0;
    const params = { rows, columns: columnsOf(x.shape), octets, groups, group_rows, add_partial };
    const operands = {
      dy: together ? undefined : rowRange(dy, start, end),
      x: rowRange(x, start, end),
      weight,
      rstd: flatView(rstd, range),
      dx: rowRange(dx, start, end),
      partial_sums: partial,
    };
    for (const { start: first, end } of ranges(group_rows, most)) {
      pass.dispatch({
        kernel,
        constants: { ...constants, ACCUMULATE: accumulate ? 1 : 0 },
        operands,
        params: { ...params, first, end, offset },
        workgroups: [Math.ceil(groups / rowsPerGroup)],
      });
    }
  }
}

function weightGradient(
  pass: KernelPass,
  { dy, x, rstd, partial }: RmsNormBackward,
  kernel: Kernel,
): void {
  const { columnLanes: lanes, columnWorkgroup: size } = COLUMNS;
  const octets = x.stride / 8, groups = rowsOf(partial.shape);
  const most = Math.min(rowsPerBinding(pass, x), LOOP_ROUNDS * groups);
  for (const range of ranges(rowsOf(x.shape), most)) {
    const { start, end } = range;
    pass.dispatch({
      kernel,
      operands: {
        dy: rowRange(dy, start, end),
        x: rowRange(x, start, end),
        rstd: flatView(rstd, range),
        partial_sums: partial,
      },
      params: {
        rows: end - start,
        group_rows: Math.ceil((end - start) / groups),
        octets,
        add_partial: start > 0 ? 1 : 0,
      },
      workgroups: [Math.ceil(octets * lanes / size), groups],
    });
  }
}

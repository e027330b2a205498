import code from "../../../shaders/misc/column_dots.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { COLUMN_LANES, HELD, heldBy } from "../lanes.ts";
import { ranges, rowsPerBinding } from "../ranges.ts";
import { LOOP_ROUNDS, strategyFor } from "../strategy.ts";

const kernels = kernelByFormat("column_dots", code, {
  constants: { ...COLUMN_LANES, HELD: HELD.loop },
});

/** Operands of {@link columnDots}. */
export interface ColumnDots {
  /** (N, C) float32 or bfloat16. */
  readonly x: Tensor;
  /** (N, C) in the same format. */
  readonly y: Tensor;
  /** (C) float32. */
  readonly norm: Tensor;
  /** (C) float32. */
  readonly out: Tensor;
  /** Adds to the existing values. */
  readonly accumulate?: boolean;
}

/**
 * out[c] (+)= Σ_n x[n, c]·y[n, c] / norm[c], in a fixed order; 0 where the norm is 0. Throws {@link
 * ShapeError} on operands that do not match.
 */
export function columnDots(pass: KernelPass, io: ColumnDots): void {
  const { x, y, norm, out, accumulate = false } = io;
  const { columnLanes: lanes, columnWorkgroup: size } = strategyFor(pass.gpu.capabilities);
  expectShape("columnDots", "y", y, x.shape);
  for (const [name, operand] of Object.entries({ norm, out })) {
    expectDType("columnDots", name, operand, "float32");
    expectShape("columnDots", name, operand, [columnsOf(x.shape)]);
  }
  const kernel = forFormat(kernels, "columnDots", x, y);
  const octets = x.stride / 8;
  const most = Math.min(rowsPerBinding(pass, x), LOOP_ROUNDS);
  for (const { start, end } of ranges(rowsOf(x.shape), most)) {
    pass.dispatch({
      kernel,
      constants: { LANES: lanes, WORKGROUP_SIZE: size, ...heldBy(pass.gpu, kernel) },
      operands: { x: rowRange(x, start, end), y: rowRange(y, start, end), norm, out },
      params: { rows: end - start, octets, accumulate: accumulate || start > 0 ? 1 : 0 },
      workgroups: [Math.ceil((octets * lanes) / size)],
    });
  }
}

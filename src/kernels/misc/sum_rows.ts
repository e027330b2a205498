import code from "../../../shaders/misc/sum_rows.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { COLUMN_LANES, HELD, heldBy } from "../lanes.ts";
import { ranges, rowsPerBinding } from "../ranges.ts";
import { LOOP_ROUNDS, strategyFor } from "../strategy.ts";

const kernels = kernelByFormat("sum_rows", code, {
  constants: { ...COLUMN_LANES, HELD: HELD.loop },
});

/** Operands of {@link sumRows}. */
export interface SumRows {
  /** (G, C) float32 or bfloat16. */
  readonly x: Tensor;
  /** (C) float32. */
  readonly out: Tensor;
  /** Adds to the existing values. */
  readonly accumulate?: boolean;
}

/**
 * out[c] (+)= Σ_g x[g, c], in a fixed order. Throws {@link ShapeError} on operands that do not
 * match.
 */
export function sumRows(pass: KernelPass, io: SumRows): void {
  const { x, out, accumulate = false } = io;
  const { columnLanes: lanes, columnWorkgroup: size } = strategyFor(pass.gpu.capabilities);
  expectDType("sumRows", "x", x, "float32", "bfloat16");
  expectDType("sumRows", "out", out, "float32");
  expectShape("sumRows", "out", out, [columnsOf(x.shape)]);
  const kernel = forFormat(kernels, "sumRows", x);
  const octets = x.stride / 8;
  const most = Math.min(rowsPerBinding(pass, x), LOOP_ROUNDS);
  for (const { start, end } of ranges(rowsOf(x.shape), most)) {
    pass.dispatch({
      kernel,
      constants: { LANES: lanes, WORKGROUP_SIZE: size, ...heldBy(pass.gpu, kernel) },
      operands: { x: rowRange(x, start, end), out },
      params: { rows: end - start, octets, accumulate: accumulate || start > 0 ? 1 : 0 },
      workgroups: [Math.ceil((octets * lanes) / size)],
    });
  }
}

import code from "../../../shaders/norm/rms_norm.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { flatView } from "../flat.ts";
import { formatOf } from "../format.ts";
import { HELD, kernelByFormatAndLanes, rowsBy } from "../lanes.ts";
import { strategyFor } from "../strategy.ts";
import { ranges, rowsOfGroups, rowsPerBinding } from "../ranges.ts";

/** Rows of lanes that take several. */
const ROWS = 16;
/** Fewer rows give each core more threads. */
const MANY_ROWS = 256;

const kernels = kernelByFormatAndLanes("rms_norm", code, {
  heldOfBlock: HELD.rows,
  constants: { ROWS: [1, ROWS] },
});

/** Operands of {@link rmsNorm}. */
export interface RmsNorm {
  /** (N, C) float32 or bfloat16. */
  readonly x: Tensor;
  /** (C) float32. */
  readonly weight: Tensor;
  /** (N, C) overwritten, in the format of x. */
  readonly y: Tensor;
  /** (N) float32, overwritten. */
  readonly rstd: Tensor;
  /** Added to the mean of the squares. */
  readonly eps: number;
  /** Added to the weight: 1 where the checkpoint stores weight − 1, as for Gemma. */
  readonly offset?: 0 | 1;
}

/**
 * y = (weight + offset) · x · rstd; saves rstd = 1 / sqrt(mean(x²) + eps) for the backward pass.
 * Zhang & Sennrich 2019, equation 4. Throws {@link ShapeError} on operands that do not match.
 */
export function rmsNorm(pass: KernelPass, io: RmsNorm): void {
  const { x, weight, y, rstd, eps, offset = 0 } = io;
  const rows = rowsOf(x.shape), columns = columnsOf(x.shape);
  expectDType("rmsNorm", "weight", weight, "float32");
  expectShape("rmsNorm", "weight", weight, [columns]);
  expectShape("rmsNorm", "y", y, x.shape);
  expectShape("rmsNorm", "rstd", rstd, [rows]);
  const octets = x.stride / 8;
  const together = strategyFor(pass.gpu.capabilities).groupsOfRows && rows >= MANY_ROWS ? ROWS : 1;
  const { kernel, constants, rowsPerGroup } = rowsBy(
    pass,
    kernels[formatOf("rmsNorm", x, y)],
    { octets, loads: 1 },
  );
  const most = Math.min(rowsOfGroups(pass, rowsPerGroup), rowsPerBinding(pass, x));
  for (const { start, end } of ranges(rows, most)) {
    pass.dispatch({
      kernel,
      constants: { ...constants, ROWS: together },
      operands: {
        x: rowRange(x, start, end),
        weight,
        y: rowRange(y, start, end),
        rstd: flatView(rstd, { start, end }),
      },
      params: { rows: end - start, columns, octets, eps, offset },
      workgroups: [Math.ceil((end - start) / together / rowsPerGroup)],
    });
  }
}

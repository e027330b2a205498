import code from "../../../shaders/optim/scale_rows.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { rowsOf } from "../../numbers/layout.ts";
import { HELD, kernelByLanes, rowsBy } from "../lanes.ts";
import { ranges, rowsOfGroups, rowsPerBinding } from "../ranges.ts";

const kernels = kernelByLanes("scale_rows", code, { heldOfBlock: HELD.rows });

export interface ScaleRows {
  /** (rows, columns) float32, in place. */
  readonly matrix: Tensor;
}

/** row /= max |row|; rows of zeros stay zero. Throws {@link ShapeError} on another format. */
export function scaleRows(pass: KernelPass, io: ScaleRows): void {
  const { matrix } = io;
  const row = { octets: matrix.stride / 8, loads: 2 };
  const { kernel, constants, rowsPerGroup } = rowsBy(pass, kernels, row);
  expectDType("scaleRows", "matrix", matrix, "float32");
  const most = Math.min(rowsOfGroups(pass, rowsPerGroup), rowsPerBinding(pass, matrix));
  for (const { start, end } of ranges(rowsOf(matrix.shape), most)) {
    pass.dispatch({
      kernel,
      constants,
      operands: { matrix: rowRange(matrix, start, end) },
      params: { rows: end - start, row_octets: matrix.stride / 8 },
      workgroups: [Math.ceil((end - start) / rowsPerGroup)],
    });
  }
}

import code from "../../../shaders/optim/scale_rows.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { rowsOf } from "../../numbers/layout.ts";
import { lanesOf } from "../flat.ts";
import { ranges, rowsPerBinding } from "../ranges.ts";
import { LANES, shader } from "../shader.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("scale_rows", code, { constants: { WORKGROUP_SIZE, LANES } });

export interface ScaleRows {
  /** (rows, columns) float32, in place. */
  readonly matrix: Tensor;
  /** Threads per row, a divisor of 64; chosen for the adapter by default. */
  readonly lanes?: number;
}

/** row /= max |row|; rows of zeros stay zero. Throws {@link ShapeError} on another format. */
export function scaleRows(pass: KernelPass, io: ScaleRows): void {
  const { matrix, lanes = lanesOf(pass.gpu, io.matrix.stride / 2) } = io; // two loops over quads
  expectDType("scaleRows", "matrix", matrix, "float32");
  for (const { start, end } of ranges(rowsOf(matrix.shape), rowsPerBinding(pass, matrix))) {
    pass.dispatch({
      kernel,
      constants: { LANES: lanes },
      operands: { matrix: rowRange(matrix, start, end) },
      params: { rows: end - start, row_quads: matrix.stride / 4 },
      workgroups: [Math.ceil(((end - start) * lanes) / WORKGROUP_SIZE)],
    });
  }
}

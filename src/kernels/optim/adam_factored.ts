/** Adam's step with a factored second moment and a first moment in 8 bits. */
import columnsCode from "../../../shaders/optim/column_moments.wgsl" with { type: "text" };
import code from "../../../shaders/optim/adam_factored.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { elementRange, expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { columnsOf, padded, rowsOf } from "../../numbers/layout.ts";
import { adamParameters, type AdamRates } from "./adam.ts";
import { ADAM_BLOCK } from "./adam_blockwise.ts";
import { COLUMN_LANES, HELD, heldBy, kernelByLanes, lanesFor, sharedBy } from "../lanes.ts";
import { ranges, rowsOfGroups, rowsPerBinding } from "../ranges.ts";
import { shader } from "../shader.ts";
import { strategyFor } from "../strategy.ts";

const kernels = kernelByLanes("adam_factored", code, { heldOfBlock: HELD.moments });
const columnMoments = shader("column_moments", columnsCode, {
  constants: { ...COLUMN_LANES, HELD: HELD.loop },
});

/** Rows that share the second moments of their columns. */
export const MOMENT_ROWS = 256;

/** Operands of {@link adamFactored}. */
export interface AdamFactored extends AdamRates {
  /** (rows, C) float32, overwritten with the update. */
  readonly gradient: Tensor;
  /** (rows, C) uint8 codes of the signed map, overwritten. */
  readonly m: Tensor;
  /** (rows · blocks of a row) float32, overwritten. */
  readonly absmaxM: Tensor;
  /** (rows) float32, overwritten. */
  readonly v: Tensor;
  /** (blocks of 256 rows, C) float32, overwritten. */
  readonly columns: Tensor;
}

/** Number of blocks of 256 elements in a row of this width, its padding included. */
export function blocksOfRow(width: number): number {
  return Math.ceil(padded(width) / ADAM_BLOCK);
}

/** Number of blocks of 256 rows. */
export function rowBlocks(rows: number): number {
  return Math.ceil(rows / MOMENT_ROWS);
}

/**
 * gradient ← −lr · m̂ / (√v̂ + ε), with v factored into one of each row and one of each column, and
 * 8-bit m. Columns have moments for every 256 rows, and blocks of m start anew in each row. A state
 * of zero bytes represents zeros. Shazeer & Stern 2018, algorithm 4, with Adam's decay and bias
 * correction. Throws {@link ShapeError} on operands that do not match.
 */
export function adamFactored(pass: KernelPass, io: AdamFactored): void {
  const { gradient, m, absmaxM, v, columns } = io;
  const rows = rowsOf(gradient.shape), width = columnsOf(gradient.shape);
  const blocks = blocksOfRow(width), octets = gradient.stride / 8;
  expectDType("adamFactored", "m", m, "uint8");
  expectShape("adamFactored", "m", m, gradient.shape);
  for (const [name, operand] of Object.entries({ gradient, absmaxM, v, columns })) {
    expectDType("adamFactored", name, operand, "float32");
  }
  expectShape("adamFactored", "absmaxM", absmaxM, [rows * blocks]);
  expectShape("adamFactored", "v", v, [rows]);
  expectShape("adamFactored", "columns", columns, [rowBlocks(rows), width]);
  const parameters = adamParameters(io), { beta2, fresh2 } = parameters;
  const { flatElements, columnLanes, columnWorkgroup } = strategyFor(pass.gpu.capabilities);
  // More lanes than a block of m has octets would have nothing to do.
  const block = Math.min(ADAM_BLOCK / 8, octets);
  const lanes = Math.min(ADAM_BLOCK / 8, lanesFor(pass.gpu, 2 * octets, 4 * octets));
  const { kernel, constants, rowsPerGroup } = sharedBy(pass, kernels, lanes, block);
  const most = Math.min(
    rowsOfGroups(pass, rowsPerGroup),
    rowsPerBinding(pass, gradient),
    flatElements / gradient.stride,
  );
  for (const { start, end } of ranges(rows, wholeBlocks(most))) {
    const range = rowRange(gradient, start, end), count = end - start;
    const moments = rowRange(columns, start / MOMENT_ROWS, rowBlocks(end));
    pass.dispatch({
      kernel: columnMoments,
      constants: {
        LANES: columnLanes,
        WORKGROUP_SIZE: columnWorkgroup,
        ...heldBy(pass.gpu, columnMoments),
      },
      operands: { x: range, columns: moments },
      params: { rows: count, octets, beta2, fresh2 },
      workgroups: [Math.ceil((octets * columnLanes) / columnWorkgroup), rowBlocks(count)],
    });
    pass.dispatch({
      kernel,
      constants,
      operands: {
        gradient: range,
        m: rowRange(m, start, end),
        absmax: elementRange(absmaxM, start * blocks, end * blocks),
        v: elementRange(v, start, end),
        columns: moments,
      },
      params: { rows: count, columns: width, octets, blocks, ...parameters },
      workgroups: [Math.ceil(count / rowsPerGroup)],
    });
  }
}

/**
 * At most this number of rows, as whole blocks. The moments of eight begin where a binding may, with
 * rows of any width; where fewer rows fit, they are so wide that those of one do.
 */
function wholeBlocks(most: number): number {
  const unit = 8 * MOMENT_ROWS;
  return most >= unit
    ? Math.floor(most / unit) * unit
    : Math.max(1, Math.floor(most / MOMENT_ROWS)) * MOMENT_ROWS;
}

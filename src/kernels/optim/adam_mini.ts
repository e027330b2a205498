/** Adam-mini's step for a matrix with a row per token: one second moment a row. */
import code from "../../../shaders/optim/adam_mini.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { elementRange, expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { columnsOf, padded, rowsOf } from "../../numbers/layout.ts";
import { adamParameters, type AdamRates } from "./adam.ts";
import { ADAM_BLOCK } from "./adam_blockwise.ts";
import { HELD, kernelByLanes, lanesFor, sharedBy } from "../lanes.ts";
import { ranges, rowsOfGroups, rowsPerBinding } from "../ranges.ts";
import { strategyFor } from "../strategy.ts";

const kernels = kernelByLanes("adam_mini", code, { held: HELD.moments });

/** Operands of {@link adamMini}. */
export interface AdamMini extends AdamRates {
  /** (rows, C) float32, overwritten with the update. */
  readonly gradient: Tensor;
  /** (rows, C) uint8 codes of the signed map, overwritten. */
  readonly m: Tensor;
  /** (rows · blocks of a row) float32, overwritten. */
  readonly absmaxM: Tensor;
  /** (rows) float32, overwritten. */
  readonly v: Tensor;
}

/** Number of blocks of 256 elements in a row of this many columns, its padding included. */
export function rowBlocks(columns: number): number {
  return Math.ceil(padded(columns) / ADAM_BLOCK);
}

/**
 * gradient ← −lr · m̂ / (√v̂ + ε), with one v per row, from the mean of its squared gradients, and
 * 8-bit m in blocks of 256 that start anew in each row. A state of zero bytes represents zeros.
 * Zhang et al. 2024 (arXiv 2406.16793). Throws {@link ShapeError} on operands that do not match.
 */
export function adamMini(pass: KernelPass, io: AdamMini): void {
  const { gradient, m, absmaxM, v } = io;
  const rows = rowsOf(gradient.shape), columns = columnsOf(gradient.shape);
  const blocks = rowBlocks(columns), octets = gradient.stride / 8;
  expectDType("adamMini", "gradient", gradient, "float32");
  expectDType("adamMini", "m", m, "uint8");
  expectShape("adamMini", "m", m, gradient.shape);
  expectDType("adamMini", "absmaxM", absmaxM, "float32");
  expectShape("adamMini", "absmaxM", absmaxM, [rows * blocks]);
  expectDType("adamMini", "v", v, "float32");
  expectShape("adamMini", "v", v, [rows]);
  // A block has an octet for each of 32 lanes: more would have nothing to do.
  const most = ADAM_BLOCK / 8;
  const lanes = Math.min(most, lanesFor(pass.gpu, 2 * octets, 3 * octets));
  const { kernel, constants, rowsPerGroup } = sharedBy(pass, kernels, lanes);
  const { flatElements } = strategyFor(pass.gpu.capabilities);
  const together = Math.min(
    rowsOfGroups(pass, rowsPerGroup),
    rowsPerBinding(pass, gradient),
    64 * Math.max(1, Math.floor(flatElements / gradient.stride / 64)),
  );
  for (const { start, end } of ranges(rows, together)) {
    pass.dispatch({
      kernel,
      constants,
      operands: {
        gradient: rowRange(gradient, start, end),
        m: rowRange(m, start, end),
        absmax: elementRange(absmaxM, start * blocks, end * blocks),
        v: elementRange(v, start, end),
      },
      params: { rows: end - start, columns, octets, blocks, ...adamParameters(io) },
      workgroups: [Math.ceil((end - start) / rowsPerGroup)],
    });
  }
}

import code from "../../../shaders/optim/seed_rows.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { lanesOf } from "../flat.ts";
import type { StochasticRounding } from "../quantise/group_format.ts";
import { ranges, rowsPerBinding } from "../ranges.ts";
import { LANES, shader } from "../shader.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("seed_rows", code, { constants: { WORKGROUP_SIZE, LANES } });

export interface SeedRows {
  /** (rows, columns) float32. */
  readonly target: Tensor;
  /** Rows from this one on are filled; earlier ones only if they are all zero. */
  readonly first: number;
  readonly key: StochasticRounding;
  /** Threads per row, a divisor of 64; chosen for the adapter by default. */
  readonly lanes?: number;
}

/** Fills rows with normal random numbers. Throws {@link ShapeError} on another format. */
export function seedRows(pass: KernelPass, io: SeedRows): void {
  const { target, first, key } = io;
  const { lanes = lanesOf(pass.gpu, target.stride / 2) } = io; // two loops over its quads
  expectDType("seedRows", "target", target, "float32");
  for (const { start, end } of ranges(rowsOf(target.shape), rowsPerBinding(pass, target))) {
    pass.dispatch({
      kernel,
      constants: { LANES: lanes },
      operands: { target_values: rowRange(target, start, end) },
      params: {
        rows: end - start,
        first: Math.max(0, first - start),
        first_quad: (start * target.stride) / 4,
        row_quads: target.stride / 4,
        columns: columnsOf(target.shape),
        seed: key.seed >>> 0,
        step: key.step >>> 0,
        tensor: key.tensor >>> 0,
      },
      workgroups: [Math.ceil(((end - start) * lanes) / WORKGROUP_SIZE)],
    });
  }
}

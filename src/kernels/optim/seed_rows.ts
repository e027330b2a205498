import code from "../../../shaders/optim/seed_rows.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, rowRange, type Tensor } from "../../gpu/tensor.ts";
import type { StochasticRounding } from "../quantise/group_format.ts";
import { saltedSeed } from "../salts.ts";
import { kernelByLanes, lanesFor, sharedBy } from "../lanes.ts";
import { ranges, rowsOfGroups, rowsPerBinding } from "../ranges.ts";

const kernels = kernelByLanes("seed_rows", code);

export interface SeedRows {
  /** (rows, columns) float32. */
  readonly target: Tensor;
  /** Rows from this one on are filled; earlier ones only if they are all zero. */
  readonly first: number;
  readonly key: StochasticRounding;
}

/** Fills rows with normal random numbers. Throws {@link ShapeError} on another format. */
export function seedRows(pass: KernelPass, io: SeedRows): void {
  const { target, first, key } = io;
  const quads = target.stride / 4;
  const lanes = lanesFor(pass.gpu, quads, 2 * quads);
  const { kernel, constants, rowsPerGroup } = sharedBy(pass, kernels, lanes);
  expectDType("seedRows", "target", target, "float32");
  const most = Math.min(rowsOfGroups(pass, rowsPerGroup), rowsPerBinding(pass, target));
  for (const { start, end } of ranges(rowsOf(target.shape), most)) {
    pass.dispatch({
      kernel,
      constants,
      operands: { target_values: rowRange(target, start, end) },
      params: {
        rows: end - start,
        first: Math.max(0, first - start),
        first_quad: (start * target.stride) / 4,
        row_quads: quads,
        columns: columnsOf(target.shape),
        seed: saltedSeed(key.seed, "directions"),
        step: key.step >>> 0,
        tensor: key.tensor >>> 0,
      },
      workgroups: [Math.ceil((end - start) / rowsPerGroup)],
    });
  }
}

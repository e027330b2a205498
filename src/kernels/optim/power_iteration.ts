import code from "../../../shaders/optim/power_iteration.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { rowsOf } from "../../numbers/layout.ts";
import { ranges } from "../ranges.ts";
import { LOOP_ROUNDS, strategyFor } from "../strategy.ts";
import { HELD, kernelByLanes, loneThreads, sharedBy, type Sharing } from "../lanes.ts";

const kernels = kernelByLanes("power_iteration", code, { held: HELD.loop });

export interface PowerIteration extends Sharing {
  /** (size, size) float32, symmetric positive semidefinite. */
  readonly matrix: Tensor;
  /** (2, size) float32: the vector, then scratch. */
  readonly vectors: Tensor;
  /** Rounded up to an even number. */
  readonly iterations: number;
}

/**
 * Iterates the first row of `vectors` towards the leading eigenvector; its largest element becomes
 * ±1. Throws {@link ShapeError} on operands that do not match.
 */
export function powerIteration(pass: KernelPass, io: PowerIteration): void {
  const { matrix, vectors, iterations } = io;
  const size = rowsOf(matrix.shape);
  expectDType("powerIteration", "matrix", matrix, "float32");
  expectShape("powerIteration", "matrix", matrix, [size, size]);
  expectDType("powerIteration", "vectors", vectors, "float32");
  expectShape("powerIteration", "vectors", vectors, [2, size]);
  const row_quads = matrix.stride / 4;
  const { loneLanes } = strategyFor(pass.gpu.capabilities);
  const { lanes = loneLanes, near } = io;
  const threads = loneThreads(pass.gpu), teams = threads / lanes;
  const { kernel, constants } = sharedBy(pass, kernels, { lanes, near, threads });
  const rounds = Math.ceil(row_quads / teams) * (Math.ceil(row_quads / lanes) + 1) + teams + 1;
  const most = 2 * Math.max(1, Math.floor(LOOP_ROUNDS / (2 * rounds)));
  for (const { start, end } of ranges(2 * Math.ceil(iterations / 2), most)) {
    pass.dispatch({
      kernel,
      constants,
      operands: { matrix, vectors },
      params: { size, row_quads, iterations: end - start },
      workgroups: [1],
    });
  }
}

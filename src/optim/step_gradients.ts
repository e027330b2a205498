/** Where the gradients of a step are: sums over its micro-batches, or scratch memory. */
import type { KernelPass } from "../gpu/pass.ts";
import { type Tensor, viewAs } from "../gpu/tensor.ts";
import { lengthOf, type Range } from "../kernels/ranges.ts";
import type { Parameter } from "../model/parameters.ts";
import { gradientBlocks } from "./gradient_blocks.ts";
import { readInt8 } from "./int8_sum.ts";
import type { OptimizerScratch } from "./optimizer_scratch.ts";
import { gathersLowRank, type ParameterState } from "./parameter_state.ts";

export class StepGradients {
  constructor(
    private readonly states: readonly ParameterState[],
    private readonly scratch: OptimizerScratch,
  ) {}

  /** Every gradient, or those of some, whole or in the blocks that it is taken in. */
  *blocks(
    of: readonly ParameterState[] = this.states,
  ): Generator<[state: ParameterState, block: Range | undefined]> {
    for (const state of of) {
      for (const block of gradientBlocks(state)) yield [state, state.blockRows ? block : undefined];
    }
  }

  /** The step's gradient, or these rows of it, as the rule takes it. */
  summed(pass: KernelPass, state: ParameterState, rows?: Range): Tensor {
    const target = this.gathered(state, rows), { accumulatedInt8: sum } = state;
    if (sum) readInt8(pass, { sum, rows, target });
    return target;
  }

  /** Where the gradient is kept from accumulate to apply: (m, R), (R, n) or the parameter's shape. */
  gathered(state: ParameterState, rows?: Range): Tensor {
    if (state.accumulated) return state.accumulated;
    return gathersLowRank(state) ? this.lowRank(state) : this.place(state.parameter, rows);
  }

  lowRank({ parameter: { name }, projector }: ParameterState): Tensor {
    return viewAs(this.scratch.lowRank!, `${name}.low_rank`, projector!.lowRankShape);
  }

  /** Where the backward pass writes a gradient that it does not keep; a vector is one row. */
  place({ name, kind, shape }: Parameter, rows?: Range): Tensor {
    const { embeddingGradient, gradient } = this.scratch;
    const scratch = kind === "embedding" && embeddingGradient || gradient;
    const matrix = rows && shape.length > 1;
    return viewAs(scratch, `${name}.grad`, matrix ? [lengthOf(rows), shape[1]] : shape);
  }
}

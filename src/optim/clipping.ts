/** Clips gradients by their norm: that of all of a step, or each by its own. */
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { clipNorm, type SumOfSquares } from "../kernels/optim/clip_norm.ts";
import { sum } from "../kernels/misc/sum.ts";
import type { Range } from "../kernels/ranges.ts";
import { gradientBlockCount } from "./gradient_blocks.ts";
import type { Clipping } from "./optimizer_shape.ts";
import type { ParameterState } from "./parameter_state.ts";

export class GradientClipping {
  /** Where the first square of each is. */
  readonly #places = new Map<ParameterState, number>();

  /** `squares` has an element for each gradient, or block of one. */
  constructor(
    readonly kind: Clipping,
    states: readonly ParameterState[],
    private readonly squares: Tensor,
  ) {
    let next = 0;
    for (const state of states) {
      this.#places.set(state, next);
      next += gradientBlockCount(state);
    }
  }

  /** Sums the squares of a gradient, or of a block of it. */
  measure(pass: KernelPass, state: ParameterState, x: Tensor, block?: Range): SumOfSquares {
    const index = this.#places.get(state)! + (block ? block.start / state.blockRows! : 0);
    const squares = { out: this.squares, index };
    sum(pass, { x, ...squares, squared: true });
    return squares;
  }

  /** Sums what was measured of all gradients. */
  sumUp(pass: KernelPass, norm: SumOfSquares): void {
    sum(pass, { x: this.squares, ...norm });
  }

  /** Scales a gradient down if its norm, or that of all, exceeds the limit; 0 is none. */
  clip(
    pass: KernelPass,
    state: ParameterState,
    { x, block, norm, most }: {
      readonly x: Tensor;
      readonly block?: Range;
      /** Of all gradients, where they are clipped by it. */
      readonly norm: SumOfSquares;
      readonly most: number;
    },
  ): void {
    const squares = this.kind === "step" ? norm : this.measure(pass, state, x, block);
    if (most > 0) clipNorm(pass, { x, squares, most });
  }
}

/** Clips gradients by their norm: that of all of a step, or each by its own. */
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { clipNorm, type SumOfSquares } from "../kernels/optim/clip_norm.ts";
import { sum } from "../kernels/misc/sum.ts";
import type { Range } from "../kernels/ranges.ts";
import { gradientBlockCount } from "./gradient_blocks.ts";
import type { Clipping } from "./optimizer_shape.ts";
import type { ParameterState } from "./parameter_state.ts";

/** The norm of all gradients of a step, and what it may be; 0 is any. */
export interface StepNorm {
  /** The sum of its squares. */
  readonly norm: SumOfSquares;
  readonly most: number;
}

export class GradientClipping {
  /** Gradients that are clipped together, and kept in float32: those of a buffer as one. */
  readonly #kept: readonly Tensor[];
  /** Where the first square of each other is. */
  readonly #places = new Map<ParameterState, number>();

  /** `squares` has an element for each gradient, or block of one. */
  constructor(
    readonly kind: Clipping,
    states: readonly ParameterState[],
    private readonly squares: Tensor,
  ) {
    const isKept = ({ accumulated }: ParameterState) => kind === "step" && accumulated;
    this.#kept = buffersOf(states.flatMap((state) => isKept(state) || []));
    let next = this.#kept.length;
    for (const state of states) {
      if (isKept(state)) continue;
      this.#places.set(state, next);
      next += gradientBlockCount(state);
    }
  }

  /** Sums the squares of a gradient, or of a block of it; those that are kept are measured together. */
  measure(pass: KernelPass, state: ParameterState, x: Tensor, block?: Range): SumOfSquares {
    const index = this.#places.get(state)! + (block ? block.start / state.blockRows! : 0);
    const squares = { out: this.squares, index };
    sum(pass, { x, ...squares, squared: true });
    return squares;
  }

  /** Whether a gradient is clipped by {@link clipKept}. */
  keeps(state: ParameterState): boolean {
    return !this.#places.has(state);
  }

  /** Once all others are measured: sums up, and scales down what is kept if the norm is too large. */
  clipKept(pass: KernelPass, { norm, most }: StepNorm): void {
    for (const [index, x] of this.#kept.entries()) {
      sum(pass, { x, out: this.squares, index, squared: true });
    }
    this.sumUp(pass, norm);
    if (most > 0) { for (const x of this.#kept) clipNorm(pass, { x, squares: norm, most }); }
  }

  /** Sums what was measured of all gradients. */
  sumUp(pass: KernelPass, norm: SumOfSquares): void {
    sum(pass, { x: this.squares, ...norm });
  }

  /** Scales any other gradient down if its norm, or that of all, is too large. */
  clip(
    pass: KernelPass,
    state: ParameterState,
    { x, block, norm, most }: StepNorm & { readonly x: Tensor; readonly block?: Range },
  ): void {
    const squares = this.kind === "step" ? norm : this.measure(pass, state, x, block);
    if (most > 0) clipNorm(pass, { x, squares, most });
  }
}

/**
 * Float32 tensors, those that lie side by side in a buffer as one vector: nothing else is in it, and
 * what lies between them is zero (gpu/slots.ts).
 */
function buffersOf(tensors: readonly Tensor[]): Tensor[] {
  return [...Map.groupBy(tensors, ({ buffer }) => buffer).values()].map((together) => {
    const [first] = together, ends = together.map((part) => part.byteOffset + part.byteLength);
    const byteOffset = Math.min(...together.map((part) => part.byteOffset));
    const byteLength = Math.max(...ends) - byteOffset, elements = byteLength / 4;
    return { ...first, shape: [elements], stride: elements, byteOffset, byteLength };
  });
}

import code from "../../../shaders/optim/newton_schulz.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { rowsOf } from "../../numbers/layout.ts";
import { flatRanges, flatView } from "../flat.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("newton_schulz", code, { constants: { WORKGROUP_SIZE } });

export interface NewtonSchulz {
  /** A = X·Xᵀ (k, k) float32. */
  readonly gram: Tensor;
  /** A·A (k, k) float32, overwritten with the polynomial. */
  readonly square: Tensor;
  /** Normalise X as well, in the first iteration. */
  readonly normalise: boolean;
  /** (a, b, c) of a·I + b·A + c·A². */
  readonly coefficients: readonly [a: number, b: number, c: number];
  /** Lower bound of ‖X‖. */
  readonly eps: number;
}

/**
 * square ← s·(a·I + b·s²·A + c·s⁴·A²), s = 1 / max(‖X‖, ε) or 1: multiplied by X, it gives the next
 * X of a Newton-Schulz iteration (Jordan et al. 2024, "Muon"). Throws {@link ShapeError} on
 * operands that do not match.
 */
export function newtonSchulz(pass: KernelPass, io: NewtonSchulz): void {
  const { gram, square, normalise, coefficients: [a, b, c], eps } = io;
  const size = rowsOf(gram.shape);
  for (const [name, operand] of Object.entries({ gram, square })) {
    expectDType("newtonSchulz", name, operand, "float32");
    expectShape("newtonSchulz", name, operand, [size, size]);
  }
  for (const range of flatRanges(pass, square)) {
    const quads = (range.end - range.start) / 4;
    pass.dispatch({
      kernel,
      operands: { gram, square: flatView(square, range) },
      params: {
        size,
        row_quads: square.stride / 4,
        first_quad: range.start / 4,
        quads,
        normalise: normalise ? 1 : 0,
        a,
        b,
        c,
        eps,
      },
      workgroups: [Math.ceil(quads / WORKGROUP_SIZE)],
    });
  }
}

import code from "../../../shaders/optim/clip_norm.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, type Tensor } from "../../gpu/tensor.ts";
import { elementsOf } from "../../numbers/layout.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import { FLAT, flatRanges, flatView, flatWorkgroups } from "../flat.ts";
import { shader } from "../shader.ts";

const kernel = shader("clip_norm", code, { constants: FLAT });

/** Where a sum of squares is. */
export interface SumOfSquares {
  /** float32. */
  readonly out: Tensor;
  /** Element of `out`, a vector. */
  readonly index: number;
}

/** Operands of {@link clipNorm}. */
export interface ClipNorm {
  /** float32 of any shape, in place. */
  readonly x: Tensor;
  /** Of `x`, or of all that is clipped with it; in another buffer. */
  readonly squares: SumOfSquares;
  /** The largest norm, above 0. */
  readonly most: number;
}

/**
 * x *= min(1, most / (norm + 1e-6)), norm the root of a sum of squares, as in torch's
 * `clip_grad_norm_`. Throws {@link ShapeError} on a bad operand.
 */
export function clipNorm(pass: KernelPass, { x, squares: { out, index }, most }: ClipNorm): void {
  expectDType("clipNorm", "x", x, "float32");
  expectDType("clipNorm", "squares", out, "float32");
  if (out.shape.length !== 1 || !(index >= 0 && index < elementsOf(out))) {
    throw new ShapeError(
      `clipNorm: squares must be a vector with an element ${index}, got (${out.shape.join(", ")})`,
    );
  }
  if (!(most > 0)) throw new ShapeError(`clipNorm: most must be above 0, got ${most}`);
  for (const range of flatRanges(pass, x)) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel,
      operands: { x: flatView(x, range), squares: out },
      params: { octets, index, most },
      workgroups: [flatWorkgroups(octets)],
    });
  }
}

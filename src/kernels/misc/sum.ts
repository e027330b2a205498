import code from "../../../shaders/misc/sum.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { elementsOf } from "../../numbers/layout.ts";
import { expectDType, type Tensor } from "../../gpu/tensor.ts";
import { flatRanges, flatView } from "../flat.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("sum", code, { constants: { WORKGROUP_SIZE } });

/** Operands of {@link sum}. */
export interface Sum {
  /** float32 of any shape, its padding zero. */
  readonly x: Tensor;
  /** float32. */
  readonly out: Tensor;
  /** Element of `out`, a vector, that receives the sum. */
  readonly index: number;
  /** Factor of the sum; 1 by default. */
  readonly scale?: number;
  /** Sums squares. */
  readonly squared?: boolean;
  /** Adds to the existing values. */
  readonly accumulate?: boolean;
}

/** out[index] (+)= scale · Σ x (or Σ x²), in a fixed order. Throws {@link ShapeError} on a bad operand. */
export function sum(
  pass: KernelPass,
  { x, out, index, scale = 1, squared = false, accumulate = false }: Sum,
): void {
  expectDType("sum", "x", x, "float32");
  expectDType("sum", "out", out, "float32");
  if (out.shape.length !== 1 || !(index >= 0 && index < elementsOf(out))) {
    throw new ShapeError(
      `sum: out must be a vector with an element ${index}, got (${out.shape.join(", ")})`,
    );
  }
  // A thread adds up 32,768 quads of a range's 2^23 elements: within LOOP_ROUNDS of strategy.ts.
  for (const range of flatRanges(pass, x)) {
    pass.dispatch({
      kernel,
      operands: { x: flatView(x, range), out },
      params: {
        quads: (range.end - range.start) / 4,
        index,
        scale,
        accumulate: accumulate || range.start > 0 ? 1 : 0,
        squared: squared ? 1 : 0,
      },
      workgroups: [1],
    });
  }
}

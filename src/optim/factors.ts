/**
 * The gradient of a projection, G (m, n) = dyᵀ·x, by its factors: two matrices with a row for each of
 * T tokens. GaLore needs only products of G with a few vectors, which the factors give without it.
 * `projected` (T, D) is the factor with the projected side, `other` (T, O) has the other side:
 *
 *   side    projected  other    low rank        = (projected·Pᵀ)ᵀ·other (R, O), or its transpose
 *   right   x          dy       out   a (k, D)  → (a·projectedᵀ)·other (k, O)
 *   left    dy         x        back  a (k, O)  → (a·otherᵀ)·projected (k, D)
 *
 * The products in brackets have a row or a column for each token. They are computed for as many tokens
 * at a time as scratch memory holds, and the sums of the others added.
 */
import type { KernelPass } from "../gpu/pass.ts";
import { expectShape, rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import { matmul, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import { ranges } from "../kernels/ranges.ts";
import type { GradientFactors } from "../model/gradients.ts";
import { rowsOf } from "../numbers/layout.ts";
import type { Side } from "./subspace_shape.ts";

/** Factors with scratch memory for their products; gradient_route.ts has its size. */
export interface FactoredGradient extends GradientFactors {
  readonly scratch: Tensor; // float32, overwritten
  /** Tokens at a time: a multiple of 64. */
  readonly atOnce: number;
}

/** A gradient as a float32 matrix (m, n), or by its factors. */
export type Gradient = Tensor | FactoredGradient;

export function isFactored(gradient: Gradient): gradient is FactoredGradient {
  return "dy" in gradient;
}

/** Throws a {@link ShapeError} if it is not the gradient of a matrix (m, n). */
export function expectGradient(
  operation: string,
  gradient: Gradient,
  [m, n]: readonly [number, number],
): void {
  if (!isFactored(gradient)) return expectShape(operation, "gradient", gradient, [m, n]);
  const { dy, x } = gradient, tokens = rowsOf(dy.shape);
  expectShape(operation, "dy", dy, [tokens, m]);
  expectShape(operation, "x", x, [tokens, n]);
}

/** Multiplies rows of length D by the gradient, giving rows of length O, and those back to D. */
export interface GradientProducts {
  out(a: Tensor, c: Tensor): void;
  back(a: Tensor, c: Tensor): void;
}

export function gradientProducts(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  side: Side,
  gradient: Gradient,
): GradientProducts {
  if (isFactored(gradient)) {
    const parts = partsOf(gradient, side);
    const through = (first: Factor, second: Factor) => (a: Tensor, c: Tensor) => {
      for (const { [first]: b, [second]: next, isFirst } of parts) {
        const product = scratchFor(gradient, [rowsOf(a.shape), rowsOf(b.shape)]);
        matmul(pass, matmuls, { layout: "NT", a, b, c: product });
        matmul(pass, matmuls, { layout: "NN", a: product, b: next, c, accumulate: !isFirst });
      }
    };
    return { out: through("projected", "other"), back: through("other", "projected") };
  }
  const [out, back] = side === "right" ? ["NT", "NN"] as const : ["NN", "NT"] as const;
  return {
    out: (a, c) => matmul(pass, matmuls, { layout: out, a, b: gradient, c }),
    back: (a, c) => matmul(pass, matmuls, { layout: back, a, b: gradient, c }),
  };
}

/** c = the low-rank gradient, or c += it, by the factors. */
export function projectFactors(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  { side, basis }: { readonly side: Side; readonly basis: Tensor },
  { gradient, lowRank: c, accumulate }: {
    readonly gradient: FactoredGradient;
    readonly lowRank: Tensor;
    readonly accumulate?: boolean;
  },
): void {
  for (const { projected, other, isFirst } of partsOf(gradient, side)) {
    const product = scratchFor(gradient, [rowsOf(projected.shape), rowsOf(basis.shape)]);
    matmul(pass, matmuls, { layout: "NT", a: projected, b: basis, c: product });
    const [a, b] = side === "right" ? [other, product] : [product, other];
    matmul(pass, matmuls, { layout: "TN", a, b, c, accumulate: accumulate || !isFirst });
  }
}

type Factor = "projected" | "other";

/** The factors by side, of as many tokens at a time as scratch memory is for. */
function partsOf({ dy, x, atOnce }: FactoredGradient, side: Side) {
  const [projected, other] = side === "right" ? [x, dy] : [dy, x];
  return ranges(rowsOf(dy.shape), atOnce).map(({ start, end }) => ({
    projected: rowRange(projected, start, end),
    other: rowRange(other, start, end),
    isFirst: start === 0,
  }));
}

function scratchFor({ scratch }: FactoredGradient, shape: readonly number[]): Tensor {
  return viewAs(scratch, "factors.product", shape);
}

/** Sizes of a subspace refresh, and its matrix products. */
import type { MatmulShape } from "../kernels/matmul/matmul.ts";
import { orthonormalizeMatmuls } from "./orthonormalize.ts";

/** The side that the basis multiplies a gradient from: its smaller side is projected. */
export type Side = "right" | "left";

export function sideOf([m, n]: readonly [m: number, n: number]): Side {
  return m >= n ? "right" : "left";
}

/** Rounds of a refresh from random vectors, and from the last basis. */
export const COLD_ROUNDS = 6, WARM_ROUNDS = 3;

/** Products with the gradient in a refresh from the last basis: two a round, and one at the end. */
export const WARM_PRODUCTS = 2 * WARM_ROUNDS + 1;

/** Vectors iterated beyond the rank and then dropped (Halko, Martinsson & Tropp 2011). */
const OVERSAMPLING = 8;

export interface SubspaceShape {
  /** D: the projected side. */
  readonly dimensions: number;
  /** The other side of the gradient. */
  readonly other: number;
  /** Number of vectors iterated. */
  readonly vectors: number;
}

export function subspaceShape([m, n]: readonly [number, number], rank: number): SubspaceShape {
  const dimensions = Math.min(m, n);
  return { dimensions, other: Math.max(m, n), vectors: Math.min(rank + OVERSAMPLING, dimensions) };
}

/** With those of the gradient, unless factors take its place (gradient_route.ts). */
export function subspaceMatmuls(
  shape: readonly [number, number],
  rank: number,
  from: "gradient" | "factors" = "gradient",
): MatmulShape[] {
  const { dimensions, other, vectors } = subspaceShape(shape, rank);
  const [out, back] = sideOf(shape) === "right" ? ["NT", "NN"] as const : ["NN", "NT"] as const;
  const iterating: MatmulShape[] = [
    { layout: out, m: vectors, n: other, k: dimensions },
    { layout: back, m: vectors, n: dimensions, k: other },
  ];
  return [
    ...(from === "gradient" ? iterating : []),
    { layout: "NT", m: vectors, n: vectors, k: other },
    { layout: "NN", m: vectors, n: vectors, k: vectors },
    { layout: "NN", m: rank, n: dimensions, k: vectors },
    ...orthonormalizeMatmuls(vectors, dimensions),
    ...orthonormalizeMatmuls(vectors, vectors),
  ];
}

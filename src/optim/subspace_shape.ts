/** Sizes of a subspace refresh, and its matrix products. */
import type { MatmulShape } from "../kernels/matmul/matmul.ts";
import { orthonormalizeMatmuls } from "./orthonormalize.ts";

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

export function subspaceMatmuls(shape: readonly [number, number], rank: number): MatmulShape[] {
  const { dimensions, other, vectors } = subspaceShape(shape, rank);
  return [
    { layout: "NN", m: vectors, n: other, k: dimensions },
    { layout: "NN", m: vectors, n: dimensions, k: other },
    { layout: "NT", m: vectors, n: vectors, k: other },
    { layout: "NN", m: vectors, n: vectors, k: vectors },
    { layout: "NN", m: rank, n: dimensions, k: vectors },
    ...orthonormalizeMatmuls(vectors, dimensions),
    ...orthonormalizeMatmuls(vectors, vectors),
  ];
}

/**
 * The projector of a weight matrix (GaLore, Zhao et al. 2024, algorithm 2): the smaller side of a
 * gradient G (m, n) is projected to R dimensions by the orthonormal rows of P (R, D).
 *
 *   m ≥ n, "right":   P (R, n)   low rank = G·Pᵀ (m, R)   back = N·P  (m, n)
 *   m < n, "left":    P (R, m)   low rank = P·G  (R, n)   back = Pᵀ·N (m, n)
 *
 * The reference stores the left P as (m, R); stored as rows, both sides share one code path. P is
 * int4 by default, eight to a word. optim/subspace.ts computes it.
 */
import type { Allocator } from "../gpu/allocator.ts";
import { ShapeError } from "../numbers/shape_error.ts";
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import {
  matmul,
  type MatmulLayout,
  type MatmulShape,
  type MatmulWorkspace,
} from "../kernels/matmul/matmul.ts";
import type { Range } from "../kernels/ranges.ts";
import { createLazyRefresh, type LazyRefresh } from "./lazy_refresh.ts";
import { type Gradient, isFactored, projectFactors } from "./factors.ts";
import { type GradientRoute, routeMatmuls } from "./gradient_route.ts";
import { type Side, sideOf, subspaceMatmuls } from "./subspace_shape.ts";

export interface Projector {
  readonly side: Side;
  readonly shape: readonly [m: number, n: number];
  readonly rank: number;
  readonly basis: Tensor; // P (R, D), int4 or float32; zero until the first refresh
  readonly leading: Tensor; // (D) float32: the leading singular vector at the last refresh
  readonly lazy: LazyRefresh;
  /** Of the low-rank gradient: (m, R) or (R, n). */
  readonly lowRankShape: readonly [number, number];
}

export interface ProjectorOptions {
  readonly name: string;
  readonly shape: readonly [m: number, n: number];
  /** At most the smaller side. */
  readonly rank: number;
  /** Whether P is int4; otherwise float32. */
  readonly quantised: boolean;
  /** Elements per quantisation group. */
  readonly groupSize: number;
}

export function createProjector(allocator: Allocator, options: ProjectorOptions): Projector {
  const { name, shape, rank, quantised, groupSize } = options;
  const [m, n] = shape, side = sideOf(shape), dimensions = Math.min(m, n);
  if (!(Number.isInteger(rank) && rank >= 1 && rank <= dimensions)) {
    throw new ShapeError(
      `createProjector: rank of ${name} (${m}, ${n}) must be 1 to ${dimensions}, got ${rank}`,
    );
  }
  const purpose = "projections";
  return {
    side,
    shape,
    rank,
    basis: allocator.tensor({
      name: `${name}.basis`,
      shape: [rank, dimensions],
      purpose,
      ...(quantised ? { dtype: "int4", groupSize } : { dtype: "float32" }),
    }),
    leading: allocator.tensor({
      name: `${name}.leading`,
      shape: [dimensions],
      dtype: "float32",
      purpose,
    }),
    lazy: createLazyRefresh(0), // a step's rates set the interval
    lowRankShape: side === "right" ? [m, rank] : [rank, n],
  };
}

/** low rank = G·Pᵀ or P·G; added to `lowRank` if `accumulate`. */
export function project(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  { side, basis }: Projector,
  { gradient, lowRank: c, accumulate }: {
    readonly gradient: Gradient; // (m, n)
    readonly lowRank: Tensor; // lowRankShape, float32
    readonly accumulate?: boolean;
  },
): void {
  if (isFactored(gradient)) {
    const io = { gradient, lowRank: c, accumulate };
    return projectFactors(pass, matmuls, { side, basis }, io);
  }
  matmul(
    pass,
    matmuls,
    side === "right"
      ? { layout: "NT", a: gradient, b: basis, c, accumulate }
      : { layout: "NN", a: basis, b: gradient, c, accumulate },
  );
}

/**
 * update = α·N·P or α·Pᵀ·N, or rows of it, which start at a multiple of 64; added to `update` if
 * `accumulate`.
 */
export function projectBack(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  { side, basis }: Projector,
  { lowRank, update: c, rows, alpha, accumulate }: {
    readonly lowRank: Tensor; // N, lowRankShape
    readonly update: Tensor; // (m, n) or (rows, n) float32
    readonly rows?: Range;
    readonly alpha: number;
    readonly accumulate?: boolean;
  },
): void {
  matmul(
    pass,
    matmuls,
    side === "right"
      ? { layout: "NN", a: lowRank, b: basis, c, rows, alpha, accumulate }
      : { layout: "TN", a: basis, b: lowRank, c, rows, alpha, accumulate },
  );
}

/**
 * The matrix products of projection and refresh, for sizing the matmul workspace: of whole gradients,
 * or by a route, and of updates in blocks of `rows` rows, all by default.
 */
export function projectorMatmuls(
  projector: Projector,
  { route, rows }: { readonly route?: GradientRoute; readonly rows?: number } = {},
): MatmulShape[] {
  const { side, shape, rank } = projector, [m, n] = shape;
  const product = (layout: MatmulLayout, m: number, n: number, k: number) => ({ layout, m, n, k });
  const project = side === "right" ? product("NT", m, rank, n) : product("NN", rank, n, m);
  return [
    ...(route?.project === "factors" ? [] : [project]),
    ...(route ? routeMatmuls(projector, route) : []),
    product(side === "right" ? "NN" : "TN", rows ?? m, n, rank),
    ...subspaceMatmuls(shape, rank, route?.refresh),
  ];
}

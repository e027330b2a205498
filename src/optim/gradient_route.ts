/**
 * Whether projection and refresh compute from a gradient or from its factors (factors.ts): decided by
 * the number of operations, so that it is the same on every machine, in the plan and in the run.
 */
import type { MatmulLayout, MatmulShape } from "../kernels/matmul/matmul.ts";
import { padded } from "../numbers/layout.ts";
import { sideOf, subspaceShape, WARM_PRODUCTS } from "./subspace_shape.ts";

/** A matrix whose gradient is projected. */
interface Projected {
  readonly shape: readonly [m: number, n: number];
  readonly rank: number;
}

/** From what each is computed: the factors, or the gradient, which is then formed. */
export interface GradientRoute {
  /** Tokens of a micro-batch, T: rows of the factors. */
  readonly tokens: number;
  /** Tokens whose products are in scratch memory at a time: a multiple of 64. */
  readonly atOnce: number;
  readonly project: "factors" | "gradient";
  readonly refresh: "factors" | "gradient";
}

/** Numbers of tokens whose products are computed at a time are multiples of this. */
const TOKENS = 64;

/**
 * The route with fewer operations in a micro-batch, and in a refresh from the last basis. Products of
 * the factors take up to `scratchBytes`, or those of 64 tokens. A gradient of more bytes is only formed
 * if that saves half of the operations: with 4,096 tokens a refresh of LLaMA-7B's 4096 x 4096 at rank
 * 1024 takes 485 GFLOP by factors and 380 by the gradient, once in hundreds of steps, but 64 MiB for
 * the gradient would be taken in all of them. (Of 4096 x 11008 the factors take fewer: 894 and 1,021.)
 */
export function routeOf(
  { shape, rank }: Projected,
  tokens: number,
  scratchBytes: number,
): GradientRoute {
  const [m, n] = shape, inGradient = m * n, inFactors = tokens * (m + n);
  const { vectors } = subspaceShape(shape, rank), refreshing = WARM_PRODUCTS * vectors;
  const handicap = 4 * m * padded(n) > scratchBytes ? 2 : 1;
  const cheaper = (byFactors: number, byGradient: number) =>
    byFactors <= handicap * byGradient ? "factors" : "gradient";
  const project = cheaper(rank * inFactors, (tokens + rank) * inGradient);
  const forming = project === "factors" ? tokens * inGradient : 0;
  const refresh = cheaper(refreshing * inFactors, refreshing * inGradient + forming);
  const atOnce = TOKENS * Math.max(1, Math.floor(scratchBytes / (4 * padded(vectors)) / TOKENS));
  return { tokens, atOnce, project, refresh };
}

/** Whether a route forms the gradient, if only in a refresh. */
export function formsGradient({ project, refresh }: GradientRoute): boolean {
  return project === "gradient" || refresh === "gradient";
}

/** Float32 numbers of scratch memory that products of the factors take. */
export function productElements({ shape, rank }: Projected, route: GradientRoute): number {
  const { project, refresh } = route, { vectors } = subspaceShape(shape, rank);
  const tokens = Math.min(route.tokens, route.atOnce);
  return Math.max(
    project === "factors" ? tokens * padded(rank) : 0,
    refresh === "factors" ? vectors * padded(tokens) : 0,
  );
}

/** The matrix products of a route that the factors take part in. */
export function routeMatmuls({ shape, rank }: Projected, route: GradientRoute): MatmulShape[] {
  const [m, n] = shape, { tokens, project, refresh } = route, T = Math.min(tokens, route.atOnce);
  const { dimensions: D, other: O, vectors: k } = subspaceShape(shape, rank);
  const [rows, columns] = sideOf(shape) === "right" ? [m, rank] : [rank, n];
  const product = (layout: MatmulLayout, m: number, n: number, k: number) => ({ layout, m, n, k });
  return [
    ...(formsGradient(route) ? [product("TN", m, n, tokens)] : []),
    ...(project === "factors" ? [product("NT", T, rank, D), product("TN", rows, columns, T)] : []),
    ...(refresh === "factors"
      ? [
        product("NT", k, T, D),
        product("NN", k, O, T),
        product("NT", k, T, O),
        product("NN", k, D, T),
      ]
      : []),
  ];
}

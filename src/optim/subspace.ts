/**
 * The leading singular vectors of a gradient, by randomised subspace iteration (Halko, Martinsson &
 * Tropp 2011, algorithm 4.4) on the device: no SVD, and no gradient leaves it.
 *
 *   Q (k, D)   rows: the last basis, then random ones; k = R + 8
 *   repeat:    Z = Q·G̃ (k, O),  Y = Z·G̃ᵀ (k, D),  Q = orthonormalise(Y)      G̃ = G or Gᵀ, or by its factors
 *   T = Z·Zᵀ (k, k) of the last Q; U (k, k) ≈ its eigenvectors: orthogonal iteration
 *   basis = the first R rows of U·Q;   leading vector = the first eigenvector of T, times Q
 *
 * With a warm start a few rounds suffice, because gradient subspaces move slowly. It also preserves
 * the signs and the order of the vectors, so that Adam's moments keep their meaning from one basis
 * to the next; an SVD flips signs arbitrarily. The leading vector is taken from T, not from the
 * first row, which is biased towards the previous basis: the lazy rule would overestimate the
 * similarity.
 */
import type { Allocator } from "../gpu/allocator.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import type { Turn } from "../gpu/slots.ts";
import { TURNS } from "../model/turns.ts";
import { padded } from "../numbers/layout.ts";
import { divideByTrace } from "../kernels/optim/divide_by_trace.ts";
import { groupDequantize } from "../kernels/quantise/group_dequantize.ts";
import { groupQuantize, type StochasticRounding } from "../kernels/quantise/group_quantize.ts";
import { leadingSimilarity } from "../kernels/optim/leading_similarity.ts";
import { matmul, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import { scaleRows } from "../kernels/optim/scale_rows.ts";
import { seedRows } from "../kernels/optim/seed_rows.ts";
import {
  createOrthonormalizeWorkspace,
  orthonormalize,
  type OrthonormalizeWorkspace,
} from "./orthonormalize.ts";
import {
  expectGradient,
  type Gradient,
  type GradientProducts,
  gradientProducts,
} from "./factors.ts";
import type { Projector } from "./projector.ts";
import { COLD_ROUNDS, sideOf, subspaceShape, WARM_ROUNDS } from "./subspace_shape.ts";

/** Rounds of orthogonal iteration on T. */
const SORTING_ROUNDS = 4;
/**
 * Passes of orthonormalisation between two rounds. A vector keeps a small part, δ, along the first
 * one, and the next round multiplies that by (σ_1/σ_i)², which is 10⁷ and more in real gradients.
 */
const BETWEEN = 2;
/**
 * T is squared this often to find its first eigenvector: 128 rounds of power iteration as products
 * that occupy a card. Even where the first two singular values differ by only 1%, they remove 92%
 * of the error.
 */
const SQUARINGS = 7;

/** Scratch memory for one refresh at a time; each matrix uses views of its own shapes. */
export interface SubspaceWorkspace {
  readonly q: Tensor; // (k, D) float32, and so on
  readonly y: Tensor;
  readonly z: Tensor; // (k, O)
  readonly t: Tensor; // (k, k)
  readonly u: Tensor;
  readonly w: Tensor;
  readonly vector: Tensor; // (1, k)
  readonly leading: Tensor; // (1, D)
  readonly orthonormalize: OrthonormalizeWorkspace;
}

/** For matrices of these shapes. */
export function createSubspaceWorkspace(
  allocator: Allocator,
  shapes: readonly (readonly [m: number, n: number, rank: number])[],
): SubspaceWorkspace {
  const sizes = shapes.map(([m, n, rank]) => subspaceShape([m, n], rank));
  const make = (name: string, elementsOf: (size: typeof sizes[number]) => number, turn?: Turn) =>
    allocator.tensor({
      name: `subspace.${name}`,
      shape: [Math.max(8, ...sizes.map(elementsOf))],
      dtype: "float32",
      purpose: "workspace",
      turn,
    });
  const rows = Math.max(1, ...sizes.map(({ vectors }) => vectors));
  const columns = Math.max(1, ...sizes.map(({ dimensions }) => dimensions));
  return {
    q: make("q", ({ vectors, dimensions }) => vectors * padded(dimensions)),
    y: make("y", ({ vectors, dimensions }) => vectors * padded(dimensions)),
    // The largest of them.
    z: make("z", ({ vectors, other }) => vectors * padded(other), TURNS.subspace),
    t: make("t", ({ vectors }) => vectors * padded(vectors)),
    u: make("u", ({ vectors }) => vectors * padded(vectors)),
    w: make("w", ({ vectors }) => vectors * padded(vectors)),
    vector: make("vector", ({ vectors }) => padded(vectors)),
    leading: make("leading", ({ dimensions }) => padded(dimensions)),
    orthonormalize: createOrthonormalizeWorkspace(allocator, [rows, columns]),
  };
}

export interface RefreshSubspace {
  readonly gradient: Gradient; // (m, n)
  /** Key of the random vectors. */
  readonly seed: number;
  readonly step: number;
  readonly tensor: number;
  /** Receives |cos| of the new and the previous leading vector, −1 at a first refresh. */
  readonly similarity: { readonly out: Tensor; readonly index: number };
}

/**
 * Computes the subspace of a gradient: overwrites the projector's basis and leading vector, and
 * counts the refresh. A gradient of rank below R leaves rows of the basis zero.
 */
export function refreshSubspace(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  workspace: SubspaceWorkspace,
  projector: Projector,
  { gradient, similarity, ...key }: RefreshSubspace,
): void {
  expectGradient("refreshSubspace", gradient, projector.shape);
  const views = viewsOf(workspace, projector);
  const product = gradientProducts(pass, matmuls, projector.side, gradient);

  const warm = projector.lazy.refreshes > 0;
  projector.lazy.refreshes++;
  pass.later(() => {
    if (warm) loadBasis(pass, projector, rowRange(views.q, 0, projector.rank));
    iterate(pass, matmuls, workspace.orthonormalize, views, {
      product,
      rounds: warm ? WARM_ROUNDS : COLD_ROUNDS,
      known: warm ? projector.rank : 0,
      key,
    });
    sort(pass, matmuls, workspace.orthonormalize, views);
    storeBasis(pass, projector, views.sorted);
    findLeading(pass, matmuls, views);
    leadingSimilarity(pass, { vector: views.leading, leading: projector.leading, ...similarity });
  });
}

/**
 * The leading directions of a gradient, starting from random ones: orthonormal rows q (k, D) and z
 * = q·G̃ (k, O), k = `rank` + 8, both in the workspace. Not sorted.
 */
export function leadingDirections(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  workspace: SubspaceWorkspace,
  { gradient, rank, key }: {
    readonly gradient: Tensor; // (m, n) float32
    readonly rank: number;
    readonly key: StochasticRounding;
  },
): { readonly q: Tensor; readonly z: Tensor } {
  const [m, n] = gradient.shape, shape = [m, n] as const;
  const views = viewsOf(workspace, { shape, rank });
  const product = gradientProducts(pass, matmuls, sideOf(shape), gradient);
  const rounds = COLD_ROUNDS, known = 0;
  iterate(pass, matmuls, workspace.orthonormalize, views, { product, rounds, known, key });
  return views;
}

/** Overwrites q (whose first `known` rows are the start), y, and z with the last q·G̃. */
function iterate(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  workspace: OrthonormalizeWorkspace,
  { count, q, y, z }: Views,
  { product, rounds, known, key }: {
    readonly product: GradientProducts;
    readonly rounds: number;
    readonly known: number;
    readonly key: StochasticRounding;
  },
): void {
  for (let round = 0; round < rounds; round++) {
    const first = round > 0 ? count : known;
    seedRows(pass, { target: q, first, key: roundKey(key, round) });
    product.out(q, z);
    scaleRows(pass, { matrix: z });
    product.back(z, y);
    const passes = round < rounds - 1 ? BETWEEN : undefined;
    orthonormalize(pass, matmuls, workspace, { source: y, target: q, passes });
  }
  product.out(q, z);
}

type Views = ReturnType<typeof viewsOf>;

function viewsOf(
  workspace: SubspaceWorkspace,
  { shape, rank }: Pick<Projector, "shape" | "rank">,
) {
  const { vectors: k, dimensions, other } = subspaceShape(shape, rank);
  const view = (name: Exclude<keyof SubspaceWorkspace, "orthonormalize">, of: readonly number[]) =>
    viewAs(workspace[name], `subspace.${name}`, of);
  return {
    count: k,
    q: view("q", [k, dimensions]),
    y: view("y", [k, dimensions]),
    z: view("z", [k, other]),
    t: view("t", [k, k]),
    u: view("u", [k, k]),
    w: view("w", [k, k]),
    vector: view("vector", [1, k]),
    leading: view("leading", [1, dimensions]),
    sorted: view("y", [rank, dimensions]), // y is free by now
  };
}

/**
 * sorted = the first R rows of U·Q, U the eigenvectors of T = Z·Zᵀ by orthogonal iteration, so that
 * the 8 dropped are the smallest. One product a round: squares of T would lose in rounding all that
 * is below a hundredth of σ_1.
 */
function sort(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  workspace: OrthonormalizeWorkspace,
  { z, t, u, w, q, sorted }: Views,
): void {
  matmul(pass, matmuls, { layout: "NT", a: z, b: z, c: t });
  for (let round = 0; round < SORTING_ROUNDS; round++) {
    if (round === 0) pass.copy(t, w); // T times the identity
    else matmul(pass, matmuls, { layout: "NN", a: u, b: t, c: w });
    const passes = round < SORTING_ROUNDS - 1 ? BETWEEN : undefined;
    orthonormalize(pass, matmuls, workspace, { source: w, target: u, passes });
  }
  matmul(pass, matmuls, { layout: "NN", a: rowRange(u, 0, sorted.shape[0]), b: q, c: sorted });
}

/**
 * leading (1, D) = the first row of U·T^128, times Q. Divided by its trace T has a largest
 * eigenvalue of about 1, so that no power leaves float32. Overwrites T.
 */
function findLeading(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  { t, u, w, q, vector, leading }: Views,
): void {
  for (let i = 0; i < SQUARINGS; i++) {
    divideByTrace(pass, { source: t, target: w });
    matmul(pass, matmuls, { layout: "NN", a: w, b: w, c: t });
  }
  divideByTrace(pass, { source: t, target: w });
  matmul(pass, matmuls, { layout: "NN", a: rowRange(u, 0, 1), b: w, c: vector });
  matmul(pass, matmuls, { layout: "NN", a: vector, b: q, c: leading });
}

function loadBasis(pass: KernelPass, { basis }: Projector, target: Tensor): void {
  if (basis.constants) groupDequantize(pass, { source: basis, target });
  else pass.copy(basis, target);
}

function storeBasis(pass: KernelPass, { basis }: Projector, source: Tensor): void {
  if (basis.constants) groupQuantize(pass, { source, target: basis });
  else pass.copy(source, basis);
}

/** A separate key for each round, so that no two rounds draw the same vectors. */
function roundKey({ seed, step, tensor }: StochasticRounding, round: number): StochasticRounding {
  return { seed: seed + Math.imul(round, 0x85ebca6b), step, tensor };
}

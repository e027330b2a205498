/**
 * The share of a gradient's energy ‖G‖²_F in its leading directions, and from it the rank to
 * project to. With singular values σ, the energy of the leading R directions is Σ_{i≤R} σ_i².
 *
 *   Q (k, D)  orthonormal rows, approximately the leading directions        optim/subspace.ts
 *   T (k, k) = Z·Zᵀ,  Z = Q·G̃ (k, O)       its eigenvalues are σ_1² … σ_k² of G̃ = G or Gᵀ
 *
 * The eigenvalues of T never exceed the true ones (Cauchy interlacing), so the advice errs towards
 * larger ranks, and only near k: with six iterations and σ_i = i^-½ the error is 0.01% of the
 * energy at ¾ k and 0.15% at k. Where k approaches D, T = G̃·G̃ᵀ (D, D) takes one product instead
 * of thirteen and is exact. Only T leaves the device; the host computes its eigenvalues.
 */
import { EigenvalueDecomposition, Matrix } from "../packages/ml_matrix.ts";
import type { Allocator } from "../gpu/allocator.ts";
import { UserError } from "../options/user_error.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { OCTET, padded, storedElements } from "../numbers/layout.ts";
import { type Tensor, viewAs } from "../gpu/tensor.ts";
import { unpackTensor } from "../numbers/plain.ts";
import type { StochasticRounding } from "../kernels/quantise/group_format.ts";
import { matmul, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import { sum } from "../kernels/misc/sum.ts";
import { option, phrase } from "../options/phrase.ts";
import { sideOf } from "./subspace_shape.ts";
import { createSubspaceWorkspace, leadingDirections, type SubspaceWorkspace } from "./subspace.ts";
import { subspaceShape } from "./subspace_shape.ts";

type Shape = readonly [m: number, n: number];

/** A multiple of 8 needs no padding in a basis or a low-rank gradient. */
const RANK_STEP = 8;
/**
 * Use all D directions up to D = 1.25 k: an eigendecomposition is cubic in its size, so the host
 * does at most twice the work, and the device a tenth.
 */
const NEARLY_ALL = 1.25;
/** Relative error of sums of squares in float32; a share of 1 must remain reachable. */
const ROUNDING = 1e-5;

interface SpectrumShape {
  /** Rows of T. */
  readonly size: number;
  /** Whether T is of all D directions. */
  readonly whole: boolean;
}

function spectrumShape(shape: Shape, limit: number): SpectrumShape {
  const { vectors, dimensions } = subspaceShape(shape, limit);
  const whole = dimensions <= NEARLY_ALL * vectors;
  return { size: whole ? dimensions : vectors, whole };
}

/** Scratch memory for one gradient at a time, and slots that hold spectra until they are read. */
export interface SpectrumWorkspace {
  /** Directions examined, unless the gradient has only few more. */
  readonly limit: number;
  readonly subspace?: SubspaceWorkspace;
  /** (k · k + 8) float32 for the largest k: T followed by ‖G‖²_F, fetched in one read. */
  readonly slots: readonly Tensor[];
}

/** For gradients of these shapes, with room for `slots` unread spectra. */
export function createSpectrumWorkspace(
  allocator: Allocator,
  { shapes, limit, slots }: {
    readonly shapes: readonly Shape[];
    readonly limit: number;
    readonly slots: number;
  },
): SpectrumWorkspace {
  const iterated = shapes.filter((shape) => !spectrumShape(shape, limit).whole);
  const size = Math.max(1, ...shapes.map((shape) => spectrumShape(shape, limit).size));
  return {
    limit,
    subspace: iterated.length
      ? createSubspaceWorkspace(allocator, iterated.map((shape) => [...shape, limit]))
      : undefined,
    slots: Array.from({ length: slots }, (_, slot) =>
      allocator.tensor({
        name: `spectrum.${slot}`,
        shape: [size * padded(size) + OCTET],
        dtype: "float32",
        purpose: "workspace",
      })),
  };
}

export interface RecordSpectrum {
  readonly gradient: Tensor; // (m, n) float32
  /** The slot that receives the spectrum. */
  readonly slot: number;
  /** Key of the random start vectors. */
  readonly key: StochasticRounding;
}

/** Writes T and ‖G‖² of a gradient to a slot; the gradient is unchanged. */
export function recordSpectrum(
  pass: KernelPass,
  matmuls: MatmulWorkspace,
  workspace: SpectrumWorkspace,
  { gradient, slot, key }: RecordSpectrum,
): void {
  const { limit, slots } = workspace, shape = [gradient.shape[0], gradient.shape[1]] as const;
  const { whole } = spectrumShape(shape, limit), c = gramOf(workspace, slot, shape);
  sum(pass, { x: gradient, out: slots[slot], index: storedElements(c), squared: true });
  if (whole) {
    const layout = sideOf(shape) === "right" ? "TN" : "NT";
    return matmul(pass, matmuls, { layout, a: gradient, b: gradient, c });
  }
  const search = { gradient, rank: limit, key };
  const { z } = leadingDirections(pass, matmuls, workspace.subspace!, search);
  matmul(pass, matmuls, { layout: "NT", a: z, b: z, c });
}

/**
 * The energy curve of the gradient of this shape recorded in a slot: element R − 1 is the share of
 * its leading R directions. Undefined for a zero gradient. Throws {@link UserError} on one that is
 * not finite.
 */
export async function readEnergyCurve(
  gpu: Gpu,
  workspace: SpectrumWorkspace,
  { name, shape, slot }: { readonly name: string; readonly shape: Shape; readonly slot: number },
): Promise<Float64Array | undefined> {
  const gram = gramOf(workspace, slot, shape), { byteLength } = gram;
  const bytes = await gpu.read(workspace.slots[slot], 0, byteLength + 4);
  const energy = new DataView(bytes.buffer).getFloat32(byteLength, true);
  if (!Number.isFinite(energy)) {
    throw new UserError(
      `the gradient of ${name} has energy ${energy}`,
      phrase`try ${option("dtype", "float32")}, or set ${option("rank")} to a number to see in which
        step it fails`,
    );
  }
  if (energy === 0) return undefined;
  const curve = energyCurve(unpackTensor(gram, bytes.subarray(0, byteLength)), energy);
  const { whole } = spectrumShape(shape, workspace.limit);
  return whole ? curve : curve.subarray(0, workspace.limit); // without the oversampling
}

/** Cumulative eigenvalues of T (k, k), largest first, as shares of `energy`. */
export function energyCurve(gram: ArrayLike<number>, energy: number): Float64Array {
  const size = Math.sqrt(gram.length);
  const matrix = Matrix.from1DArray(size, size, gram);
  const { realEigenvalues } = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  let total = 0;
  return Float64Array.from(
    realEigenvalues.sort((a, b) => b - a),
    // The smallest eigenvalues are rounding error around zero.
    (value) => Math.min(1, (total += Math.max(0, value)) / energy),
  );
}

export interface AdvisedRank {
  readonly rank: number;
  /** The share of the energy it keeps. */
  readonly energy: number;
}

/**
 * The smallest rank that keeps a share of the energy on average over the curves, rounded up to a
 * multiple of 8, from 8 to the smaller side. Where the curves end below the share, their full
 * length. Without curves (every gradient was zero), 8.
 */
export function adviseRank(
  shape: Shape,
  curves: readonly Float64Array[],
  share: number,
): AdvisedRank {
  const dimensions = Math.min(...shape);
  if (!curves.length) return { rank: Math.min(RANK_STEP, dimensions), energy: 1 };
  const mean = curves[0].map((_, i) =>
    curves.reduce((total, curve) => total + curve[i], 0) / curves.length
  );
  const found = mean.findIndex((energy) => energy >= share * (1 - ROUNDING));
  const least = found < 0 ? mean.length : found + 1;
  const rank = Math.min(Math.ceil(least / RANK_STEP) * RANK_STEP, dimensions);
  return { rank, energy: mean[Math.min(rank, mean.length) - 1] };
}

function gramOf({ slots, limit }: SpectrumWorkspace, slot: number, shape: Shape): Tensor {
  const { size } = spectrumShape(shape, limit);
  return viewAs(slots[slot], "spectrum.gram", [size, size]);
}

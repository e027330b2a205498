/**
 * How many directions of a gradient hold how much of its energy ‖G‖²_F, and so which rank to
 * project it to. With singular values σ, the energy of the leading R directions is Σ_{i≤R} σ_i².
 *
 *   Q (k, D)  orthonormal rows that span about the leading directions        optim/subspace.ts
 *   T (k, k) = Z·Zᵀ,  Z = Q·G̃ (k, O)       its eigenvalues are σ_1² … σ_k² of G̃ = G or Gᵀ
 *
 * What Q misses, the eigenvalues of T are too small by (Cauchy's interlacing), so advice errs to
 * larger ranks, and only near k: with six rounds of iteration and σ_i = i^-½ it is 0.01% of the
 * energy at ¾ k and 0.15% at k. Where k is nearly all of D, T = G̃·G̃ᵀ (D, D) is one product instead
 * of thirteen, and exact. Only T leaves the device; its eigenvalues are found on the host.
 */
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
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
import { sideOf } from "./projector.ts";
import { createSubspaceWorkspace, leadingDirections, type SubspaceWorkspace } from "./subspace.ts";
import { subspaceShape } from "./subspace_shape.ts";

type Shape = readonly [m: number, n: number];

/** What kernels like best: no row of a basis or of a low-rank gradient is padded. */
const RANK_STEP = 8;
/**
 * D up to this many k: an eigendecomposition grows with the cube of its size, so up to here the
 * host has no more than twice the work, and the device a tenth.
 */
const NEARLY_ALL = 1.25;
/** Sums of squares in float32 are this exact, relative; a share of 1 must stay within reach. */
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

/** Scratch memory for one gradient at a time, and places where their spectra wait to be read. */
export interface SpectrumWorkspace {
  /** Directions that are looked at, unless the gradient has few more. */
  readonly limit: number;
  readonly subspace?: SubspaceWorkspace;
  /** (k · k + 8) float32 of the largest k: T, and behind it ‖G‖²_F, to be read in one go. */
  readonly slots: readonly Tensor[];
}

/** For gradients of these shapes, `slots` of which can wait. */
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
  /** Which of the places takes its spectrum. */
  readonly slot: number;
  /** Of the random vectors that a search begins with. */
  readonly key: StochasticRounding;
}

/** Leaves T and ‖G‖² of a gradient in a slot; the gradient stays as it is. */
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
 * The energy curve of a gradient of this shape that was recorded in a slot: element R − 1 is the
 * share that its leading R directions hold. Undefined for a gradient of nothing. Throws
 * {@link UserError} on one that is not finite.
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
      phrase`try ${option("dtype", "float32")}, or give a ${option("rank")} to find out in which
        step`,
    );
  }
  if (energy === 0) return undefined;
  const curve = energyCurve(unpackTensor(gram, bytes.subarray(0, byteLength)), energy);
  const { whole } = spectrumShape(shape, workspace.limit);
  return whole ? curve : curve.subarray(0, workspace.limit); // without the oversampling
}

/** Running sums of the eigenvalues of T (k, k), the largest first, as shares of `energy`. */
export function energyCurve(gram: ArrayLike<number>, energy: number): Float64Array {
  const size = Math.sqrt(gram.length);
  const matrix = Matrix.from1DArray(size, size, gram);
  const { realEigenvalues } = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  let total = 0;
  return Float64Array.from(
    realEigenvalues.sort((a, b) => b - a),
    // The least are rounding errors about zero.
    (value) => Math.min(1, (total += Math.max(0, value)) / energy),
  );
}

export interface AdvisedRank {
  readonly rank: number;
  /** The share of the energy that it keeps. */
  readonly energy: number;
}

/**
 * The least rank that keeps a share of the energy on average over the curves, rounded up to a
 * multiple of 8, from 8 to the smaller side. Where the curves end below the share, all that they
 * cover. Without curves (no gradient was other than zero) nothing is known, and 8 is enough.
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

/**
 * Muon (Jordan et al. 2024): momentum, orthogonalised by a Newton-Schulz iteration. Five rounds
 * bring the singular values of the update close to one, so that a matrix moves equally in every
 * direction; an SVD would do the same at many times the cost.
 *
 *   m ← μ·m + (1 − μ)·G,  X = (1 − μ)·G + μ·m                         kernels/optim/momentum
 *   five times, with k = min(m, n):
 *     A = X·Xᵀ or Xᵀ·X (k, k),  B = a·I + b·A + c·A²                   kernels/optim/newton_schulz
 *     X ← B·X or X·B
 *   ΔW = −lr · 0.2·√max(m, n) · X
 *
 * The last factor matches the RMS of AdamW's updates, so that AdamW's learning rates apply (Liu et
 * al. 2025, "Muon is Scalable for LLM Training"; torch calls it `match_rms_adamw`). All products
 * are float32, whereas torch rounds to bfloat16.
 */
import type { Allocator } from "../../gpu/allocator.ts";
import { type Tensor, viewAs } from "../../gpu/tensor.ts";
import { matmul, type MatmulLayout, type MatmulShape } from "../../kernels/matmul/matmul.ts";
import { adamBlocks } from "../../kernels/optim/adam_blockwise.ts";
import { momentum as average } from "../../kernels/optim/momentum.ts";
import { momentum8bit as average8bit } from "../../kernels/optim/momentum_8bit.ts";
import { newtonSchulz } from "../../kernels/optim/newton_schulz.ts";
import { padded } from "../../numbers/layout.ts";
import { LEAST_8BIT_ELEMENTS } from "./adam.ts";
import { matrixShape, type UpdateRule } from "./rule.ts";

/** The defaults of torch.optim.Muon. */
const MOMENTUM = 0.95;
const COEFFICIENTS = [3.4445, -4.775, 2.0315] as const;
const ROUNDS = 5; // odd: X alternates between two buffers and ends in the gradient's
const EPS = 1e-7;

export type MuonState = {
  readonly momentum: Tensor; // the gradient's shape: float32, or uint8 codes with absmax
  readonly absmax?: Tensor; // (blocks of 256) float32
};

export type MuonWorkspace = {
  readonly update: Tensor; // float32, sized for the largest X
  readonly gram: Tensor; // sized for the largest A
  readonly square: Tensor; // sized for the largest A², then B
};

type Shape = readonly [m: number, n: number];

const matrix = (shape: readonly number[]): Shape => matrixShape("muon", shape);

function muonRule(bits: 8 | 32): UpdateRule<MuonState, MuonWorkspace> {
  return {
    label: "muon",
    createState: (allocator, name, shape) => createState(allocator, name, matrix(shape), bits),
    matmuls: (shape) => products(matrix(shape)),
    createWorkspace(allocator, shapes) {
      const room = (name: string, sizes: readonly number[]) =>
        allocator.tensor({
          name: `muon.${name}`,
          shape: [Math.max(...sizes)],
          dtype: "float32",
          purpose: "workspace",
        });
      const sides = shapes.map((shape) => Math.min(...shape));
      const square = sides.map((k) => k * padded(k));
      return {
        update: room("update", shapes.map(matrix).map(([m, n]) => m * padded(n))),
        gram: room("gram", square),
        square: room("square", square),
      };
    },
    record(pass, { gradient, state: { momentum, absmax }, workspace, matmul: matmuls, lr }) {
      const [m, n] = matrix(gradient.shape), k = Math.min(m, n);
      const view = (scratch: keyof MuonWorkspace, shape: readonly number[]) =>
        viewAs(workspace![scratch], `muon.${scratch}`, shape);
      const gram = view("gram", [k, k]), square = view("square", [k, k]);
      let x = view("update", [m, n]), next = gradient;
      const io = { gradient, momentum, update: x, decay: MOMENTUM, nesterov: true };
      if (absmax) average8bit(pass, { ...io, absmax });
      else average(pass, io);
      const size = -lr * 0.2 * Math.sqrt(Math.max(m, n));
      for (let round = 0; round < ROUNDS; round++) {
        matmul(pass, matmuls, { layout: m > n ? "TN" : "NT", a: x, b: x, c: gram });
        matmul(pass, matmuls, { layout: "NN", a: gram, b: gram, c: square });
        const normalise = round === 0;
        newtonSchulz(pass, { gram, square, normalise, coefficients: COEFFICIENTS, eps: EPS });
        const [a, b] = m > n ? [x, square] : [square, x];
        matmul(pass, matmuls, {
          layout: "NN",
          a,
          b,
          c: next,
          alpha: round === ROUNDS - 1 ? size : 1,
        });
        [x, next] = [next, x];
      }
    },
  };
}

/** Muon with float32 momentum. */
export const muon32: UpdateRule<MuonState, MuonWorkspace> = muonRule(32);

/** Muon with 8-bit momentum in blocks of 256. */
export const muon8: UpdateRule<MuonState, MuonWorkspace> = muonRule(8);

function products([m, n]: Shape): MatmulShape[] {
  const k = Math.min(m, n);
  const product = (layout: MatmulLayout, m: number, n: number, k: number) => ({ layout, m, n, k });
  return [
    product(m > n ? "TN" : "NT", k, k, Math.max(m, n)),
    product("NN", k, k, k),
    product("NN", m, n, k),
  ];
}

function createState(
  allocator: Allocator,
  name: string,
  shape: Shape,
  bits: 8 | 32,
): MuonState {
  const narrow = bits === 8 && shape[0] * shape[1] >= LEAST_8BIT_ELEMENTS;
  const make = (label: string, of: readonly number[], dtype: "float32" | "uint8") =>
    allocator.tensor({ name: `${name}.${label}`, shape: of, dtype, purpose: "optimizer_state" });
  const momentum = make("momentum", shape, narrow ? "uint8" : "float32");
  if (!narrow) return { momentum };
  return { momentum, absmax: make("momentum.absmax", [adamBlocks(momentum)], "float32") };
}

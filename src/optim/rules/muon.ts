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
import type { Tensor } from "../../gpu/tensor.ts";
import { matmul, type MatmulLayout, type MatmulShape } from "../../kernels/matmul/matmul.ts";
import { newtonSchulz } from "../../kernels/optim/newton_schulz.ts";
import { padded } from "../../numbers/layout.ts";
import { createMomentumState, type MomentumState, updateMomentum } from "./momentum_state.ts";
import { createScratch, matrixShape, scratchViews, type UpdateRule } from "./rule.ts";

/** The defaults of torch.optim.Muon. */
const MOMENTUM = 0.95;
const COEFFICIENTS = [3.4445, -4.775, 2.0315] as const;
const ROUNDS = 5; // odd: X alternates between two buffers and ends in the gradient's
const EPS = 1e-7;

export type MuonWorkspace = {
  readonly update: Tensor; // float32, sized for the largest X
  readonly gram: Tensor; // sized for the largest A
  readonly square: Tensor; // sized for the largest A², then B
};

type Shape = readonly [m: number, n: number];

const matrix = (shape: readonly number[]): Shape => matrixShape("muon", shape);

function muonRule(bits: 8 | 32): UpdateRule<MomentumState, MuonWorkspace> {
  return {
    label: "muon",
    createState: (allocator, name, shape) =>
      createMomentumState(allocator, name, matrix(shape), bits),
    matmuls: (shape) => products(matrix(shape)),
    createWorkspace(allocator, shapes) {
      const sides = shapes.map((shape) => Math.min(...shape));
      const square = sides.map((k) => k * padded(k));
      return createScratch(allocator, "muon", {
        update: Math.max(...shapes.map(matrix).map(([m, n]) => m * padded(n))),
        gram: Math.max(...square),
        square: Math.max(...square),
      });
    },
    record(pass, { gradient, state, workspace, matmul: matmuls, lr }) {
      const [m, n] = matrix(gradient.shape), k = Math.min(m, n);
      const view = scratchViews("muon", workspace!);
      const gram = view("gram", [k, k]), square = view("square", [k, k]);
      let x = view("update", [m, n]), next = gradient;
      updateMomentum(pass, state, { gradient, update: x, decay: MOMENTUM, nesterov: true });
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
export const muon32: UpdateRule<MomentumState, MuonWorkspace> = muonRule(32);

/** Muon with 8-bit momentum in blocks of 256. */
export const muon8: UpdateRule<MomentumState, MuonWorkspace> = muonRule(8);

function products([m, n]: Shape): MatmulShape[] {
  const k = Math.min(m, n);
  const product = (layout: MatmulLayout, m: number, n: number, k: number) => ({ layout, m, n, k });
  return [
    product(m > n ? "TN" : "NT", k, k, Math.max(m, n)),
    product("NN", k, k, k),
    product("NN", m, n, k),
  ];
}

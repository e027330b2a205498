/**
 * APOLLO (Zhu et al. 2024, arXiv 2412.05270, section 4 and algorithm 1): Adam only decides by how much
 * a channel of the gradient, or all of it, is scaled, and decides it in a space of low rank. With k and
 * D the larger and the smaller side of G (m, n), and channels along the larger:
 *
 *   Ω (R, D) ~ N(0, 1/R)     drawn again in every step, another every T steps; never stored
 *   R (R, k) = Ω·Gᵀ if m ≥ n, else Ω·G
 *   N = Adam's update from R, without the correction of its bias
 *   s_j = ‖N_j‖ / ‖R_j‖      of each channel j; Mini: ‖N‖ / ‖R‖ of the matrix, with rank 1
 *   G̃ = G · diag(s), scaled down to at most 1.01 times the norm of the last step's     limit_growth
 *   ΔW = −lr · √scale · c_t · G̃,  c_t = √(1 − β2^t) / (1 − β1^t)
 *
 * N is the paper's R̃ (equation 5). The limiter (equation 4) thus compares norms before the correction
 * of the bias, which the paper leaves to AdamW; it holds back the first steps, when ‖N‖ is several times
 * what it settles at. Ω is drawn again every 200 steps by default, and the moments stay. Mini's α is
 * √128: a scale of 128, as transformers and LLaMA-Factory count it. The paper takes m ≤ n; where a
 * matrix is square, channels are rows here, as the side that GaLore projects would have it. Written
 * from the paper alone.
 * The norm of G̃ follows from those of G's channels, so that G is read for R and for its norms, and
 * scaled in place. State: Adam's two moments of R, and one number.
 */
import type { Tensor } from "../../gpu/tensor.ts";
import { matmul, type MatmulShape } from "../../kernels/matmul/matmul.ts";
import { randomNormal } from "../../kernels/misc/random_normal.ts";
import { sum } from "../../kernels/misc/sum.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { biasCorrection } from "../../kernels/optim/adam.ts";
import { type Channels, channelSquares } from "../../kernels/optim/channel_squares.ts";
import { saltedSeed } from "../../kernels/salts.ts";
import { GROWTH, limitGrowth, NORM_EPS } from "../../kernels/optim/limit_growth.ts";
import { normRatios } from "../../kernels/optim/norm_ratios.ts";
import { scaleChannels } from "../../kernels/optim/scale_channels.ts";
import { TURNS } from "../../model/turns.ts";
import { padded } from "../../numbers/layout.ts";
import { sideOf } from "../subspace_shape.ts";
import { adam32, adam8, type AdamState } from "./adam.ts";
import {
  createScratch,
  matrixShape,
  type RuleSizes,
  scratchViews,
  type UpdateRule,
} from "./rule.ts";

export type ApolloState = AdamState & {
  readonly norm: Tensor; // (1) float32: of the last G̃
};

export type ApolloWorkspace = {
  readonly omega: Tensor; // float32, sized for the largest Ω
  readonly low_rank: Tensor; // sized for the largest R, then N
  readonly squares: Tensor; // (k) each, for the largest k: of G's channels
  readonly before: Tensor; // of R's
  readonly after: Tensor; // of N's
  readonly factors: Tensor; // s
};

/** What has a scale of its own. */
type Granularity = "channel" | "tensor";

interface Space {
  /** Channels of G. */
  readonly channels: Channels;
  /** R, D and k. */
  readonly rank: number;
  readonly dimensions: number;
  readonly count: number;
}

function spaceOf(shape: readonly number[], { rank }: RuleSizes): Space {
  const [m, n] = matrixShape("apollo", shape);
  return {
    channels: sideOf([m, n]) === "right" ? "rows" : "columns",
    rank: Math.min(rank, m, n),
    dimensions: Math.min(m, n),
    count: Math.max(m, n),
  };
}

function apolloRule(
  granularity: Granularity,
  adam: UpdateRule<AdamState>,
): UpdateRule<ApolloState, ApolloWorkspace> {
  return {
    label: "apollo",
    createState(allocator, name, shape, sizes) {
      const { rank, count } = spaceOf(shape, sizes);
      const norm = allocator.tensor({
        name: `${name}.norm`,
        shape: [1],
        dtype: "float32",
        purpose: "optimizer_state",
      });
      return { ...adam.createState(allocator, name, [rank, count], sizes), norm };
    },
    matmuls(shape, sizes): MatmulShape[] {
      const { channels, rank, dimensions, count } = spaceOf(shape, sizes);
      const layout = channels === "rows" ? "NT" : "NN";
      return [{ layout, m: rank, n: count, k: dimensions }];
    },
    createWorkspace(allocator, shapes, sizes, inTurns) {
      const spaces = shapes.map((shape) => spaceOf(shape, sizes));
      const most = (of: (space: Space) => number) => Math.max(...spaces.map(of));
      const channels = granularity === "channel" ? most(({ count }) => count) : 1;
      return createScratch(allocator, "apollo", {
        omega: most(({ rank, dimensions }) => rank * padded(dimensions)),
        low_rank: most(({ rank, count }) => rank * padded(count)),
        squares: channels,
        before: channels,
        after: channels,
        factors: channels,
      }, inTurns ? { omega: TURNS.omega, low_rank: TURNS.apolloLowRank } : {});
    },
    record(pass, { gradient, state, workspace, matmul: matmuls, step, lr, rates, ...key }) {
      const rank = state.m.shape[0];
      const { channels, dimensions, count } = spaceOf(gradient.shape, { rank });
      const { updateProjGap, apolloScale, beta1, beta2 } = rates;
      const whole = granularity === "tensor";
      const view = scratchViews("apollo", workspace!);
      const norms = (name: keyof ApolloWorkspace) => view(name, [whole ? 1 : count]);
      const squaresOf = (x: Tensor, along: Channels, out: Tensor) =>
        whole ? sumOfSquares(pass, x, out) : channelSquares(pass, { x, channels: along, out });

      const omega = view("omega", [rank, dimensions]), lowRank = view("low_rank", [rank, count]);
      randomNormal(pass, {
        target: omega,
        std: 1 / Math.sqrt(rank),
        seed: saltedSeed(rates.seed, "omega"),
        step: Math.floor((step - 1) / updateProjGap),
        tensor: key.tensor,
      });
      const layout = channels === "rows" ? "NT" : "NN";
      matmul(pass, matmuls, { layout, a: omega, b: gradient, c: lowRank });

      const before = norms("before"), after = norms("after"), factors = norms("factors");
      squaresOf(lowRank, "columns", before);
      adam.record(pass, {
        gradient: lowRank,
        state,
        matmul: matmuls,
        step,
        lr: 1,
        rates,
        tensor: key.tensor,
      });
      squaresOf(lowRank, "columns", after);
      const correction = biasCorrection({ step, beta1, beta2 });
      const ratios = { over: after, under: before, out: factors };
      normRatios(pass, { ...ratios, scale: 1 / correction, eps: NORM_EPS });

      const squares = norms("squares");
      squaresOf(gradient, channels, squares);
      limitGrowth(pass, { factors, squares, last: state.norm, gamma: GROWTH });
      scaleChannels(pass, {
        matrix: gradient,
        channels: whole ? "all" : channels,
        factors,
        alpha: -lr * Math.sqrt(apolloScale) * correction,
      });
    },
  };
}

function sumOfSquares(pass: KernelPass, x: Tensor, out: Tensor): void {
  sum(pass, { x, out, index: 0, squared: true });
}

/** APOLLO: a scale for each channel. */
export const apollo32 = apolloRule("channel", adam32);
/** With 8-bit moments. */
export const apollo8 = apolloRule("channel", adam8);
/** APOLLO-Mini: a scale for each matrix. */
export const apolloMini32 = apolloRule("tensor", adam32);
/** With 8-bit moments. */
export const apolloMini8 = apolloRule("tensor", adam8);

/**
 * Fira (Chen et al. 2024, arXiv 2410.01623, algorithm 1): what a projection leaves of a gradient is
 * applied too, channel by channel scaled as the rule scales the low-rank gradient R, and its norm
 * grows by at most 1% a step:
 *
 *   N = the rule's update from R, without the rate
 *   φ_i = ‖N_i‖ / ‖R_i‖          channels: the columns of R (R, n), the rows of R (m, R)
 *   S = φ ∘ (G − back(R))        then S *= min(1, γ·‖S of the last step‖ / ‖S‖), γ = 1.01
 *   ΔW = −lr · α · (back(N) + S)
 *
 * The authors' code (FiraAdamW) is another where α is not 1: S keeps (1 − α)·back(R) and is applied at
 * the whole rate. Its N, unlike the paper's, has the correction of Adam's bias only after the limiter.
 */
import type { Allocator } from "../gpu/allocator.ts";
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import { channelsOf, channelSquares } from "../kernels/optim/channel_squares.ts";
import { GROWTH, limitGrowth, NORM_EPS } from "../kernels/optim/limit_growth.ts";
import { normRatios } from "../kernels/optim/norm_ratios.ts";
import { scaleChannels } from "../kernels/optim/scale_channels.ts";
import { projectBack, type Projector } from "./projector.ts";
import { createScratch, scratchViews } from "./rules/rule.ts";

/** State of a matrix: checkpoints keep it. */
export interface FiraState {
  /** (1) float32: ‖S‖ of the last step. */
  readonly last: Tensor;
}

/** Scratch memory that matrices share: float32, sized for the most channels. */
export interface FiraScratch {
  readonly before: Tensor;
  readonly after: Tensor;
  readonly factors: Tensor;
}

export function createFiraState(allocator: Allocator, name: string): FiraState {
  return {
    last: allocator.tensor({
      name: `${name}.fira.last`,
      shape: [1],
      dtype: "float32",
      purpose: "optimizer_state",
    }),
  };
}

export function createFiraScratch(
  allocator: Allocator,
  projectors: readonly Projector[],
): FiraScratch {
  const room = Math.max(...projectors.map(channelCount));
  return createScratch(allocator, "fira", { before: room, after: room, factors: room });
}

export interface FiraStep {
  readonly projector: Projector;
  readonly state: FiraState;
  readonly scratch: FiraScratch;
  /** G (m, n) float32; overwritten with the update. */
  readonly gradient: Tensor;
  /** R, overwritten by {@link applyRule}. */
  readonly lowRank: Tensor;
  readonly lr: number;
  /** α. */
  readonly alpha: number;
  /** Overwrites R with the rule's update at a learning rate of 1, which is −N. */
  readonly applyRule: () => void;
}

/** Overwrites a gradient, of which R is the projection, with the update to add to the weight. */
export function firaUpdate(pass: KernelPass, matmuls: MatmulWorkspace, step: FiraStep): void {
  const { projector, state: { last }, gradient, lowRank } = step;
  const channels = projector.side === "right" ? "rows" : "columns";
  const view = scratchViews("fira", step.scratch), shape = [channelCount(projector)];
  const before = view("before", shape), after = view("after", shape);
  const factors = view("factors", shape);
  const back = { lowRank, update: gradient, accumulate: true }, rate = step.lr * step.alpha;

  channelSquares(pass, { x: lowRank, channels, out: before });
  projectBack(pass, matmuls, projector, { ...back, alpha: -1 });
  step.applyRule();
  channelSquares(pass, { x: lowRank, channels, out: after });
  normRatios(pass, { over: after, under: before, out: factors, scale: 1, eps: NORM_EPS });
  const squares = before; // ‖R_i‖ is no longer needed
  channelSquares(pass, { x: gradient, channels, out: squares });
  limitGrowth(pass, { factors, squares, last, gamma: GROWTH });
  scaleChannels(pass, { matrix: gradient, channels, factors, alpha: -rate });
  projectBack(pass, matmuls, projector, { ...back, alpha: rate });
}

function channelCount({ side, lowRankShape }: Projector): number {
  return channelsOf(lowRankShape, side === "right" ? "rows" : "columns");
}

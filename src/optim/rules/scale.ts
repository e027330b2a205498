/**
 * SCALE (Glentis et al. 2025, arXiv 2506.16659, algorithm 1): the gradient over the norm of its
 * columns, and momentum in the head alone. A weight of the paper maps rows to columns, so its columns
 * are outputs: rows of a projection and of the head as torch stores them, columns of the embedding.
 * Norms are root mean squares, as in the authors' code, so that an element moves by about the rate:
 *
 *   projection, head   ΔW_ij = −lr · G_ij / max(√mean_j(G_ij²), 1e-8)
 *   embedding          ΔW_ij = −lr · G_ij / max(√mean_i(G_ij²), 1e-8)
 *   head               with m ← β·m + (1 − β)·G in place of G, β = 0.9; an embedding that is the head
 *                      as well counts as head
 *
 * State: none, but the head's momentum, in float32 or 8 bits.
 */
import type { KernelPass } from "../../gpu/pass.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { type Channels, channelsOf, channelSquares } from "../../kernels/optim/channel_squares.ts";
import { normRatios } from "../../kernels/optim/norm_ratios.ts";
import { scaleChannels } from "../../kernels/optim/scale_channels.ts";
import {
  createMomentumState,
  momentumOfRows,
  type MomentumState,
  updateMomentum,
} from "./momentum_state.ts";
import {
  createScratch,
  matrixShape,
  type RuleState,
  scratchViews,
  type UpdateRule,
} from "./rule.ts";

/** The authors' choice; Adam's β1 is for the norms, which Adam updates. */
const MOMENTUM = 0.9;
/** The least root mean square to divide by. */
const LEAST = 1e-8;

export type ScaleWorkspace = {
  readonly squares: Tensor; // float32, for the most channels
  readonly factors: Tensor;
};

/** What is divided by its root mean square: rows or columns, then times −lr. */
function normalise(
  pass: KernelPass,
  { gradient, channels, workspace, lr }: {
    readonly gradient: Tensor;
    readonly channels: Channels;
    readonly workspace: ScaleWorkspace;
    readonly lr: number;
  },
): void {
  const [rows, columns] = matrixShape("scale", gradient.shape);
  const count = channelsOf(gradient.shape, channels);
  const root = Math.sqrt(channels === "rows" ? columns : rows);
  const view = scratchViews("scale", workspace);
  const squares = view("squares", [count]), factors = view("factors", [count]);
  channelSquares(pass, { x: gradient, channels, out: squares });
  normRatios(pass, { under: squares, out: factors, scale: root, least: root * LEAST });
  scaleChannels(pass, { matrix: gradient, channels, factors, alpha: -lr });
}

/** What the rules share: a number or two for each channel of the largest matrix. */
function scaleRule<State extends RuleState>(
  channels: Channels,
  rule: Pick<UpdateRule<State, ScaleWorkspace>, "label" | "createState" | "rows"> & {
    /** Overwrites the gradient with what is normalised. */
    readonly average?: (pass: KernelPass, gradient: Tensor, state: State) => void;
  },
): UpdateRule<State, ScaleWorkspace> {
  const { average, ...own } = rule;
  return {
    ...own,
    matmuls: () => [],
    createWorkspace(allocator, shapes) {
      const most = Math.max(...shapes.map((shape) => channelsOf(shape, channels)));
      return createScratch(allocator, own.label, { squares: most, factors: most });
    },
    record(pass, { gradient, state, workspace, lr }) {
      average?.(pass, gradient, state);
      normalise(pass, { gradient, channels, workspace: workspace!, lr });
    },
  };
}

/** Of projections: by rows, without a state. */
export const scale = scaleRule<RuleState>("rows", {
  label: "scale",
  createState: () => ({}),
  rows: (state) => state,
});

/** Of an embedding: by columns, whose norms need all of it. */
export const scaleEmbedding = scaleRule<RuleState>("columns", {
  label: "scale_embedding",
  createState: () => ({}),
});

/** Of a head: by rows, with momentum. */
function headRule(bits: 8 | 32): UpdateRule<MomentumState, ScaleWorkspace> {
  return scaleRule<MomentumState>("rows", {
    label: "scale_head",
    createState: (allocator, name, shape) => createMomentumState(allocator, name, shape, bits),
    rows: momentumOfRows,
    average: (pass, gradient, state) =>
      updateMomentum(pass, state, {
        gradient,
        update: gradient,
        decay: MOMENTUM,
        nesterov: false,
      }),
  });
}

/** With float32 momentum. */
export const scaleHead = headRule(32);

/** With 8-bit momentum in blocks of 256. */
export const scaleHead8 = headRule(8);

/** Everything that determines an optimizer's memory, and what follows from it alone. */
import type { Parameter } from "../model/parameters.ts";
import type { RuleSizes } from "./rules/rule.ts";
import type { RuleName } from "./rules/rules.ts";
import type { Shares } from "./shares.ts";

/** Which rule updates which parameters. */
export interface RulesByKind {
  /** The projections of attention and feed-forward, projected to a low rank or not. */
  readonly matrices: RuleName;
  /** Embedding and head. */
  readonly embeddings: RuleName;
  /** The head, also where the embedding is the head, if it has another rule. */
  readonly head?: RuleName;
  /** Norms, biases and adapters. */
  readonly others: RuleName;
}

/** GaLore's low-rank space of the matrices. */
export interface ProjectionShape {
  /** Rank of the space, R; a smaller matrix gets less. */
  readonly rank: number;
  /** Ranks of single matrices, by parameter name; those not named have `rank`. */
  readonly ranks?: Readonly<Record<string, number>>;
  /** Whether P is int4; otherwise float32. */
  readonly quantised: boolean;
  /** Elements per quantisation group of P. */
  readonly groupSize: number;
  /** Apply what the projection leaves out, too; see fira.ts. Gradients are then gathered whole. */
  readonly fira?: boolean;
}

/** Everything that determines an optimizer's memory. */
export interface OptimizerShape {
  /** Update rules. */
  readonly rules: RulesByKind;
  /** The low-rank space; none: full-rank gradients. */
  readonly projection?: ProjectionShape;
  /** Rank of the space in which an update rule measures gradients, where it has one: APOLLO's. */
  readonly rank?: number;
  /** Micro-batches per step. */
  readonly gradientAccumulation: number;
  /**
   * Sum the gradients of matrices that are not projected in INT8, where there are several
   * micro-batches; not with `exchange`, since processes sum them in float32.
   */
  readonly accumulatorQuant?: boolean;
  /** Keep the gradients of a step until they are applied together, so that processes can sum them. */
  readonly exchange?: boolean;
  /** With it: keep only a share of the states; see shares.ts. */
  readonly shares?: Shares;
  /** Clip gradients by their norm; see {@link Clipping}. */
  readonly clips?: boolean;
  /** Steady the gradients of matrices as their rule sees them; see stable_spam.ts. */
  readonly stableSpam?: boolean;
  /** Merge adapters into their matrices, and begin anew; see restarts.ts. */
  readonly restarts?: boolean;
  /**
   * Form the gradients of projected matrices too, for something that looks at them. By default their
   * factors take their place where they can.
   */
  readonly wholeGradients?: boolean;
  /** What is taken in blocks of rows; {@link BLOCKS} by default. */
  readonly blocks?: GradientBlocks;
}

/**
 * When gradients of embedding and head, and updates of projected matrices, come in blocks of rows; and
 * what is clipped as one.
 */
export interface GradientBlocks {
  /** Up to this many bytes a gradient is taken whole. */
  readonly whole: number;
  /** Bytes of a block, or those of the largest other gradient, if that is larger. */
  readonly block: number;
  /** Bytes of a block of an update whose gradient is not formed; those of `block` by default. */
  readonly update?: number;
  /** Bytes of a buffer of adapters' gradients that are kept, to be clipped as one vector. */
  readonly kept?: number;
}

/**
 * A head's gradient in blocks costs one more product of the head: 1% of a step of LLaMA-1B and less of
 * larger models, but 13% of one of LLaMA-60M, whose whole gradient takes 62 MiB. Blocks of an update
 * cost nothing, and of 16 MiB still have a thousand tiles of 64 x 64.
 */
export const BLOCKS = {
  whole: 128 << 20,
  block: 32 << 20,
  update: 16 << 20,
  kept: 64 << 20,
} satisfies GradientBlocks;

/** The rank used for a matrix: at most its smaller side. */
export function effectiveRank(shape: readonly number[], rank: number): number {
  return Math.min(rank, ...shape);
}

/** The sizes that rules take. */
export function sizesOf({ rank = 0 }: OptimizerShape): RuleSizes {
  return { rank };
}

/**
 * What is clipped by one norm: all gradients of a step, as they are accumulated, where they are kept
 * until its end; otherwise each that an update takes, a matrix or block of rows, since updates are
 * fused into the backward pass.
 */
export type Clipping = "step" | "matrix";

/** How such a run clips, if it does: adapters are small enough to keep their gradients. */
export function clippingOf(
  { clips, exchange, gradientAccumulation }: OptimizerShape,
  trainsAdaptersOnly: boolean,
): Clipping | undefined {
  if (!clips) return undefined;
  return exchange || gradientAccumulation > 1 || trainsAdaptersOnly ? "step" : "matrix";
}

/** Whether the gradients of a step are kept until they are applied together. */
export function keepsGradients(shape: OptimizerShape, trainsAdaptersOnly: boolean): boolean {
  return !!shape.exchange || clippingOf(shape, trainsAdaptersOnly) === "step";
}

export function isAdapter({ kind }: Parameter): boolean {
  return kind === "adapter";
}

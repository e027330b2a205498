/** What the optimizer allocates: state per parameter, and scratch memory that they share. */
import type { Allocator } from "../gpu/allocator.ts";
import { padded, rowsOf } from "../numbers/layout.ts";
import { rowStep, type Tensor } from "../gpu/tensor.ts";
import { UserError } from "../options/user_error.ts";
import type { MatmulShape } from "../kernels/matmul/matmul.ts";
import type { Turn } from "../gpu/slots.ts";
import { type Range, ranges } from "../kernels/ranges.ts";
import { TURNS } from "../model/turns.ts";
import type { LlamaParameters, Parameter } from "../model/parameters.ts";
import { createFiraScratch, createFiraState, type FiraScratch, type FiraState } from "./fira.ts";
import { formsGradient, type GradientRoute, productElements, routeOf } from "./gradient_route.ts";
import { createProjector, type Projector, projectorMatmuls } from "./projector.ts";
import {
  BLOCK_ROWS,
  type RuleSizes,
  type RuleState,
  type RuleWorkspace,
  type UpdateRule,
} from "./rules/rule.ts";
import {
  createStableSpamScratch,
  createStableSpamState,
  type StableSpamScratch,
} from "./stable_spam.ts";
import { type RuleName, RULES } from "./rules/rules.ts";
import { createSubspaceWorkspace, type SubspaceWorkspace } from "./subspace.ts";

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
  /** Clip gradients by their norm; see {@link Clipping}. */
  readonly clips?: boolean;
  /** Steady the gradients of matrices as their rule sees them; see stable_spam.ts. */
  readonly stableSpam?: boolean;
  /**
   * Form the gradients of projected matrices too, for something that looks at them. By default their
   * factors take their place where they can.
   */
  readonly wholeGradients?: boolean;
  /** What is taken in blocks of rows; {@link BLOCKS} by default. */
  readonly blocks?: GradientBlocks;
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

/** When gradients of embedding and head, and updates of projected matrices, come in blocks of rows. */
export interface GradientBlocks {
  /** Up to this many bytes a gradient is taken whole. */
  readonly whole: number;
  /** Bytes of a block, or those of the largest other gradient, if that is larger. */
  readonly block: number;
  /** Bytes of a block of an update whose gradient is not formed; those of `block` by default. */
  readonly update?: number;
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
} satisfies GradientBlocks;

/** Elements that share a scale in a gradient that is summed in INT8. */
const ACCUMULATOR_GROUP = 256;

/** A parameter with its optimizer state: what a checkpoint writes. */
export interface ParameterState {
  readonly parameter: Parameter;
  readonly rule: UpdateRule;
  readonly state: RuleState;
  readonly projector?: Projector;
  /** Of a projected matrix whose gradient is gathered whole. */
  readonly fira?: FiraState;
  /** (3) float32: of a matrix, with Stable-SPAM. */
  readonly stableSpam?: Tensor;
  /** Of a projected matrix, unless its gradient is wanted whole. */
  readonly route?: GradientRoute;
  /** Sum over micro-batches, of the shape that {@link gatheredShape} says. */
  readonly accumulated?: Tensor;
  /** Instead of it: the same in INT8, rounded stochastically. */
  readonly accumulatedInt8?: Tensor;
  /** Rows of the gradient that are taken at a time, if not all. */
  readonly blockRows?: number;
  /** Rows of a projected matrix's update that are computed at a time, if not all. */
  readonly updateRows?: number;
}

export interface OptimizerScratch {
  /**
   * float32, one thing at a time: a gradient that is not accumulated, or rows of one; products of a
   * projected matrix's factors; its update, or rows of it.
   */
  readonly gradient: Tensor;
  /** (V, C), separate when tied and not taken in blocks: it outlives the others. */
  readonly embeddingGradient?: Tensor;
  /** float32, sized for the largest low-rank gradient. */
  readonly lowRank?: Tensor;
  /** (projectors) float32. */
  readonly similarities: Tensor;
  /** float32: of each gradient that is clipped, or measured to be. */
  readonly squares?: Tensor;
  readonly subspace?: SubspaceWorkspace;
  readonly fira?: FiraScratch;
  readonly stableSpam?: StableSpamScratch;
  readonly rules: ReadonlyMap<UpdateRule, RuleWorkspace>;
}

/** The rank used for a matrix: at most its smaller side. */
export function effectiveRank(shape: readonly number[], rank: number): number {
  return Math.min(rank, ...shape);
}

/** Optimizer state for each trained parameter, in order; `tokens` are those of a micro-batch. */
export function createParameterStates(
  allocator: Allocator,
  parameters: LlamaParameters,
  shape: OptimizerShape,
  tokens: number,
): ParameterState[] {
  if (shape.accumulatorQuant && shape.exchange) {
    throw new UserError(
      "the optimizer's shape has both exchange and accumulatorQuant, and gradients in INT8 cannot be " +
        "summed by processes",
      "give one of them",
    );
  }
  const trained = parameters.all.filter(({ trainable }) => trainable);
  const keeps = keepsGradients(shape, trained.every(isAdapter));
  const states = trained.map((parameter) => {
    const rule = ruleOf(parameter, parameters, shape);
    return createState(allocator, parameter, rule, shape, { tokens, keeps });
  });
  const room = roomOfBlocks(states, shape);
  // The low-rank products of an adapter on a tied head are gone when its blocks are computed.
  if (parameters.head === parameters.embedding && parameters.headAdapter) return states;
  return states.map((state) => ({ ...state, blockRows: blockRowsOf(state, shape, room) }));
}

/** Whether the gradients of a step are kept until they are applied together. */
export function keepsGradients(shape: OptimizerShape, trainsAdaptersOnly: boolean): boolean {
  return !!shape.exchange || clippingOf(shape, trainsAdaptersOnly) === "step";
}

export function isAdapter({ kind }: Parameter): boolean {
  return kind === "adapter";
}

/** Bytes of a gradient of this shape. */
function storedBytes(shape: readonly number[]): number {
  return 4 * rowsOf(shape) * padded(shape[shape.length - 1]);
}

function isTokenTable({ kind }: Parameter): boolean {
  return kind === "embedding" || kind === "head";
}

/** Bytes that a block of a token table's gradient may take. */
function roomOfBlocks(
  states: readonly ParameterState[],
  { blocks = BLOCKS }: OptimizerShape,
): number {
  const others = states.filter(({ parameter }) => !isTokenTable(parameter));
  return Math.max(blocks.block, ...others.map(gradientBytes));
}

/** Bytes of the gradient scratch memory that a parameter takes, unless its gradient is accumulated. */
function gradientBytes(
  { parameter: { shape }, projector, route, blockRows, updateRows }: ParameterState,
): number {
  const rows = blockRows ?? updateRows, taken = storedBytes(rows ? [rows, shape[1]] : shape);
  return projector && route ? Math.max(taken, 4 * productElements(projector, route)) : taken;
}

/** Rows of an update of a projected matrix whose gradient is not formed: whole groups of its weight. */
function updateRowsOf({ shape, weight }: Parameter, blocks: GradientBlocks): number | undefined {
  const { update = blocks.block } = blocks, step = rowStep(weight);
  const rows = Math.max(1, Math.floor(update / storedBytes([1, shape[1]]) / step)) * step;
  return rows < shape[0] ? rows : undefined;
}

/** The blocks of rows in which a parameter is updated. */
export function updateBlocks(
  { parameter: { shape }, blockRows, updateRows }: ParameterState,
): Range[] {
  const rows = rowsOf(shape);
  return ranges(rows, blockRows ?? updateRows ?? rows);
}

/** The blocks of rows in which its gradient is taken; one: the whole. */
export function gradientBlocks({ parameter: { shape }, blockRows }: ParameterState): Range[] {
  const rows = rowsOf(shape);
  return ranges(rows, blockRows ?? rows);
}

/** How many they are; a plan may be asked for more rows than a list can hold. */
export function gradientBlockCount({ parameter: { shape }, blockRows }: ParameterState): number {
  return blockRows ? Math.ceil(rowsOf(shape) / blockRows) : 1;
}

function blockRowsOf(
  { parameter, rule, accumulated, accumulatedInt8 }: ParameterState,
  { blocks = BLOCKS }: OptimizerShape,
  room: number,
): number | undefined {
  const { shape, weight } = parameter, bytes = storedBytes(shape);
  // A block of an INT8 weight must be whole groups, which those of most sizes are.
  if (BLOCK_ROWS % rowStep(weight) !== 0) return;
  if (accumulatedInt8 && BLOCK_ROWS % rowStep(accumulatedInt8) !== 0) return;
  // What is accumulated exists whole anyway.
  if (!isTokenTable(parameter) || !rule.rows || accumulated || bytes <= blocks.whole) return;
  const rows = Math.max(1, Math.floor(room / storedBytes([1, shape[1]]) / BLOCK_ROWS)) * BLOCK_ROWS;
  return rows < shape[0] ? rows : undefined;
}

/** Matrix products of a step for these parameters, for sizing the matmul workspace. */
export function optimizerMatmuls(
  states: readonly ParameterState[],
  shape: OptimizerShape,
): MatmulShape[] {
  return states.flatMap((state) => [
    ...(state.projector
      ? projectorMatmuls(state.projector, { route: state.route, rows: state.updateRows })
      : []),
    ...state.rule.matmuls(reducedShape(state), sizesOf(shape)),
  ]);
}

/** Whether only its low-rank gradient is gathered over the micro-batches of a step. */
export function gathersLowRank({ projector, fira }: Pick<ParameterState, "projector" | "fira">) {
  return projector !== undefined && !fira;
}

/** Shape of the gradient that is gathered over the micro-batches of a step. */
function gatheredShape(
  state: Pick<ParameterState, "parameter" | "projector" | "fira">,
): readonly number[] {
  return gathersLowRank(state) ? reducedShape(state) : state.parameter.shape;
}

/** Shape of the gradient that a rule sees. */
function reducedShape(
  { parameter, projector }: Pick<ParameterState, "parameter" | "projector">,
): readonly number[] {
  return projector?.lowRankShape ?? parameter.shape;
}

function ruleOf(
  parameter: Parameter,
  { head }: LlamaParameters,
  { rules: { matrices, embeddings, others, ...rules } }: OptimizerShape,
): UpdateRule {
  if (parameter === head) return RULES[rules.head ?? embeddings];
  switch (parameter.kind) {
    case "projection":
      return RULES[matrices];
    case "embedding":
    case "head":
      return RULES[embeddings];
    default:
      return RULES[others];
  }
}

function sizesOf({ rank = 0 }: OptimizerShape): RuleSizes {
  return { rank };
}

function createState(
  allocator: Allocator,
  parameter: Parameter,
  rule: UpdateRule,
  optimizer: OptimizerShape,
  { tokens, keeps }: { readonly tokens: number; readonly keeps: boolean },
): ParameterState {
  const { projection, gradientAccumulation, wholeGradients, blocks = BLOCKS } = optimizer;
  const { accumulatorQuant, stableSpam } = optimizer;
  const { name, shape, kind } = parameter;
  const projector = kind === "projection" && projection
    ? createProjector(allocator, {
      name,
      shape: [shape[0], shape[1]],
      rank: effectiveRank(shape, projection.ranks?.[name] ?? projection.rank),
      quantised: projection.quantised,
      groupSize: projection.groupSize,
    })
    : undefined;
  const reduced = reducedShape({ parameter, projector });
  const fira = projector && projection?.fira ? createFiraState(allocator, name) : undefined;
  const route = projector && !fira && !wholeGradients
    ? routeOf(projector, tokens, blocks.block)
    : undefined;
  const isNarrow = accumulatorQuant && gradientAccumulation > 1 &&
    !gathersLowRank({ projector, fira }) && (kind === "projection" || isTokenTable(parameter));
  const sum = {
    name: `${name}.accumulated`,
    shape: gatheredShape({ parameter, projector, fira }),
    purpose: "gradients",
  } as const;
  return {
    parameter,
    projector,
    fira,
    stableSpam: stableSpam && kind === "projection"
      ? createStableSpamState(allocator, name)
      : undefined,
    route,
    updateRows: route && !formsGradient(route) ? updateRowsOf(parameter, blocks) : undefined,
    rule,
    state: rule.createState(allocator, name, reduced, sizesOf(optimizer)),
    accumulated: (gradientAccumulation > 1 || keeps) && !isNarrow
      ? allocator.tensor({ ...sum, dtype: "float32" })
      : undefined,
    accumulatedInt8: isNarrow
      ? allocator.tensor({ ...sum, dtype: "int8", groupSize: ACCUMULATOR_GROUP })
      : undefined,
  };
}

export function createOptimizerScratch(
  allocator: Allocator,
  parameters: LlamaParameters,
  states: readonly ParameterState[],
  shape: OptimizerShape,
): OptimizerScratch {
  const tied = parameters.head === parameters.embedding;
  const stored = (shape: readonly number[]) => storedBytes(shape) / 4;
  let gradient = 8, lowRank = 0, embedding = 0;
  for (const state of states) {
    const { parameter, projector, accumulated, blockRows } = state;
    const size = gradientBytes(state) / 4, gathered = accumulated && gathersLowRank(state);
    if (projector) lowRank = Math.max(lowRank, gathered ? 0 : stored(projector.lowRankShape));
    // Where it is gathered whole, its update takes its place.
    if (accumulated && !gathered) continue;
    if (tied && parameter.kind === "embedding" && !blockRows) embedding = size;
    else gradient = Math.max(gradient, size);
  }
  const scratch = (name: string, size: number, turn?: Turn) =>
    allocator.tensor({ name, shape: [size], dtype: "float32", purpose: "gradients", turn });
  const projectors = states.flatMap(({ projector }) => projector ? [projector] : []);
  return {
    gradient: scratch("gradient", gradient),
    embeddingGradient: embedding ? scratch("embedding_gradient", embedding) : undefined,
    lowRank: lowRank ? scratch("low_rank_gradient", lowRank, TURNS.lowRank) : undefined,
    similarities: allocator.tensor({
      name: "similarities",
      shape: [Math.max(1, projectors.length)],
      dtype: "float32",
      purpose: "workspace",
    }),
    squares: shape.clips
      ? allocator.tensor({
        name: "gradient_squares",
        shape: [states.reduce((sum, state) => sum + gradientBlockCount(state), 0)],
        dtype: "float32",
        purpose: "workspace",
      })
      : undefined,
    subspace: projectors.length
      ? createSubspaceWorkspace(
        allocator,
        projectors.map((projector) => [...projector.shape, projector.rank]),
      )
      : undefined,
    fira: states.some(({ fira }) => fira) ? createFiraScratch(allocator, projectors) : undefined,
    stableSpam: states.some(({ stableSpam }) => stableSpam)
      ? createStableSpamScratch(allocator)
      : undefined,
    rules: createRuleWorkspaces(allocator, states, sizesOf(shape)),
  };
}

function createRuleWorkspaces(
  allocator: Allocator,
  states: readonly ParameterState[],
  sizes: RuleSizes,
): Map<UpdateRule, RuleWorkspace> {
  const byRule = Map.groupBy(states, ({ rule }) => rule);
  return new Map([...byRule].flatMap(([rule, states]) => {
    const workspace = rule.createWorkspace?.(allocator, states.map(reducedShape), sizes);
    return workspace ? [[rule, workspace]] : [];
  }));
}

/** Scratch memory that the parameters of an optimizer share. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Turn } from "../gpu/slots.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { LlamaParameters } from "../model/parameters.ts";
import { TURNS } from "../model/turns.ts";
import { createFiraScratch, type FiraScratch } from "./fira.ts";
import { gradientBlockCount, gradientBytes, storedBytes } from "./gradient_blocks.ts";
import { type OptimizerShape, sizesOf } from "./optimizer_shape.ts";
import { gathersLowRank, type ParameterState, reducedShape } from "./parameter_state.ts";
import { adaptedOf, mergedElements } from "./restarts.ts";
import type { RuleSizes, RuleWorkspace, UpdateRule } from "./rules/rule.ts";
import { createStableSpamScratch, type StableSpamScratch } from "./stable_spam.ts";
import { createSubspaceWorkspace, type SubspaceWorkspace } from "./subspace.ts";

export interface OptimizerScratch {
  /**
   * float32, one thing at a time: a gradient that is not accumulated, or rows of one; products of a
   * projected matrix's factors; its update, or rows of it; rows of what is merged into a matrix.
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
  for (const linear of shape.restarts ? adaptedOf(parameters) : []) {
    gradient = Math.max(gradient, mergedElements(linear));
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
    const inTurns = states.every(({ parameter: { kind } }) => kind === "projection");
    const shapes = states.map(reducedShape);
    const workspace = rule.createWorkspace?.(allocator, shapes, sizes, inTurns);
    return workspace ? [[rule, workspace]] : [];
  }));
}

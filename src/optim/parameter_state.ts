/** What the optimizer keeps of a parameter, and the shapes of its gradient. */
import type { Tensor } from "../gpu/tensor.ts";
import type { Parameter } from "../model/parameters.ts";
import type { FiraState } from "./fira.ts";
import type { GradientRoute } from "./gradient_route.ts";
import type { Projector } from "./projector.ts";
import type { RuleState, UpdateRule } from "./rules/rule.ts";

/** A parameter with its optimizer state: what a checkpoint writes. */
export interface ParameterState {
  readonly parameter: Parameter;
  readonly rule: UpdateRule;
  readonly state: RuleState;
  readonly projector?: Projector;
  /** Where processes share the states: the one that keeps this. */
  readonly keeper?: number;
  /** It is another one: what is kept has a shape here, and no memory. */
  readonly elsewhere?: boolean;
  /** Those that it begins and ends with, where something is done as the backward pass goes on. */
  readonly group?: string;
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

/** Whether only its low-rank gradient is gathered over the micro-batches of a step. */
export function gathersLowRank(
  { projector, fira }: Pick<ParameterState, "projector" | "fira">,
): boolean {
  return projector !== undefined && !fira;
}

/** Shape of the gradient that is gathered over the micro-batches of a step. */
export function gatheredShape(
  state: Pick<ParameterState, "parameter" | "projector" | "fira">,
): readonly number[] {
  return gathersLowRank(state) ? reducedShape(state) : state.parameter.shape;
}

/** Shape of the gradient that a rule sees. */
export function reducedShape(
  { parameter, projector }: Pick<ParameterState, "parameter" | "projector">,
): readonly number[] {
  return projector?.lowRankShape ?? parameter.shape;
}

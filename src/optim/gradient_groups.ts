/**
 * Gradients that are exchanged and applied together while the backward pass goes on: those of a layer,
 * of the head with the norm before it, of the embedding. One group's are alive at a time.
 */
import type { Turn } from "../gpu/slots.ts";
import type { LlamaParameters, Parameter } from "../model/parameters.ts";
import { groupGradients } from "../model/turns.ts";
import type { OptimizerShape } from "./optimizer_shape.ts";
import type { ParameterState } from "./parameter_state.ts";

/** Of what is complete with the last gradient of all: a tied embedding has one from the head, too. */
export const LAST = "last";

/** Whether a step is of one batch for each of the processes that share the states. */
export function goesByGroups({ shares, gradientAccumulation, clips }: OptimizerShape): boolean {
  // Nothing then waits for later batches, nor for the norm of all.
  return shares !== undefined && gradientAccumulation <= shares.count && !clips;
}

/** Whether something is done as the backward pass goes from group to group. */
export function hasGroups(shape: OptimizerShape): boolean {
  return goesByGroups(shape) || shape.shares?.weights === true;
}

/** In the order of the backward pass each is in one piece. */
export function groupOf(parameter: Parameter, { embedding, head }: LlamaParameters): string {
  if (parameter === embedding && embedding === head) return LAST;
  const { name } = parameter, [layer] = name.match(/layers\.\d+/) ?? [];
  return layer ?? (name.includes("embed_tokens") ? "embedding" : "head");
}

/** The memory of a group's gradients, which each has in its turn. */
export function turnOf(group: string): Turn | undefined {
  return group === LAST ? undefined : groupGradients(group);
}

/** What is done as groups of a micro-batch's gradients begin and end. */
export interface GroupWork {
  /** Before the first gradient. */
  readonly begins: (group: readonly ParameterState[]) => void;
  /** Once all of them are complete. */
  readonly ends: (group: readonly ParameterState[]) => void;
}

/** Follows the backward pass from group to group. */
export class GradientGroups {
  readonly #groups: ReadonlyMap<string | undefined, readonly ParameterState[]>;
  #now: string | undefined;

  constructor(states: readonly ParameterState[]) {
    this.#groups = Map.groupBy(states, ({ group }) => group);
  }

  /** A gradient of this one is next. */
  enter({ group }: ParameterState, work: GroupWork): void {
    if (group === this.#now || group === LAST) return;
    this.leave(work);
    this.#begin(group, work);
  }

  /** All gradients are there. */
  end(work: GroupWork): void {
    this.leave(work);
    if (!this.#groups.has(LAST)) return;
    this.#begin(LAST, work);
    this.leave(work);
  }

  #begin(group: string | undefined, work: GroupWork): void {
    this.#now = group;
    work.begins(this.#groups.get(group)!);
  }

  /** The one that is begun, if any, is complete. */
  leave(work: GroupWork): void {
    if (this.#now !== undefined) work.ends(this.#groups.get(this.#now)!);
    this.#now = undefined;
  }
}

/** Which subspaces a step refreshes, as far as that is known before all similarities have come. */
import {
  isDue,
  type LazyRefresh,
  type LazyRule,
  mayBeDue,
  recordSimilarity,
} from "./lazy_refresh.ts";
import type { ParameterState } from "./parameter_state.ts";
import type { Projector } from "./projector.ts";
import type { OptimizerRates } from "./rates.ts";

/** The subspaces that a step refreshes. */
export interface StepRefresh {
  readonly projectors: ReadonlySet<Projector>;
  /** Names of their parameters. */
  readonly parameters: readonly string[];
}

export class StepRefreshes {
  /** Of the projected matrices, in order. */
  readonly projectors: readonly Projector[];
  #rule: LazyRule | undefined;
  #due: ReadonlySet<Projector> = new Set();
  /** Of the step in progress: those whose refresh is recorded, and counted. */
  readonly #counted = new Set<Projector>();
  /** Refreshed, but their similarities are not recorded yet. */
  readonly #unrecorded = new Set<Projector>();

  constructor(private readonly states: readonly ParameterState[]) {
    this.projectors = states.flatMap(({ projector }) => projector ? [projector] : []);
  }

  /** Begins a step, from 1. */
  begin(step: number, rates: OptimizerRates): void {
    this.#rule = rates;
    this.#counted.clear();
    for (const { lazy } of this.projectors) {
      if (lazy.refreshes === 0) lazy.interval = rates.updateProjGap;
    }
    this.#due = new Set(this.projectors.filter(({ lazy }) => isDue(lazy, step - 1)));
  }

  /** The step was not done after all. */
  cancel(): void {
    for (const projector of this.#counted) {
      projector.lazy.refreshes--;
      this.#unrecorded.delete(projector);
    }
    this.#counted.clear();
    this.#due = new Set();
  }

  isDue(projector: Projector): boolean {
    return this.#due.has(projector);
  }

  /** A refresh of this step is recorded: which of how many it is. */
  count(projector: Projector): { readonly index: number; readonly count: number } {
    this.#counted.add(projector);
    this.#unrecorded.add(projector);
    return { index: this.#counted.size, count: this.#due.size };
  }

  /** The same of a subspace that was refreshed elsewhere, which counts as a refresh here. */
  countGiven(projector: Projector): void {
    projector.lazy.refreshes++;
    this.count(projector);
  }

  /** Those of the step in progress, if any: their similarities must be read after it. */
  get now(): StepRefresh | undefined {
    return this.of(this.states);
  }

  /** The same of some parameters alone. */
  of(states: readonly ParameterState[]): StepRefresh | undefined {
    const due = states.filter(({ projector }) => projector && this.#due.has(projector));
    if (!due.length) return undefined;
    return {
      projectors: new Set(due.map(({ projector }) => projector!)),
      parameters: due.map(({ parameter }) => parameter.name),
    };
  }

  /** How many a step, from 1, has. */
  at(step: number): number {
    return this.projectors.filter(({ lazy }) => isDue(lazy, step - 1)).length;
  }

  /**
   * Whether those of a step, from 1, are known by now: not where one depends on a similarity that is
   * not recorded yet.
   */
  knownAt(step: number): boolean {
    return [...this.#unrecorded].every(({ lazy }) => !mayBeDue(lazy, step - 1, this.#begun));
  }

  /**
   * After a step with refreshes, the last one unless given: its similarities, one per projector, in
   * order.
   */
  record(similarities: ArrayLike<number>, refresh = this.now): void {
    for (const [index, projector] of this.projectors.entries()) {
      if (!refresh?.projectors.has(projector)) continue;
      recordSimilarity(projector.lazy, similarities[index], this.#begun);
      this.#unrecorded.delete(projector);
    }
  }

  /** Refreshes done so far, over all matrices. */
  get total(): number {
    return this.projectors.reduce((total, { lazy }) => total + lazy.refreshes, 0);
  }

  /** The lazy rule's state by parameter name: a checkpoint's JSON. */
  get lazy(): Record<string, LazyRefresh> {
    return Object.fromEntries(
      this.states.flatMap(({ parameter, projector }) =>
        projector ? [[parameter.name, projector.lazy]] : []
      ),
    );
  }

  restoreLazy(states: Readonly<Record<string, LazyRefresh>>): void {
    for (const { parameter, projector } of this.states) {
      if (projector) Object.assign(projector.lazy, states[parameter.name]);
    }
  }

  get #begun(): LazyRule {
    if (!this.#rule) throw new Error("StepRefreshes: begin must come before this");
    return this.#rule;
  }
}

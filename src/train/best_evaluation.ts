/**
 * The lowest held-out loss of a run, and when to stop because it no longer falls. The rule is that
 * of transformers' `EarlyStoppingCallback`: an evaluation counts as better if its loss is lower than
 * the best before it by more than the threshold.
 */
export interface BestState {
  /** Of the evaluation with the lowest loss. */
  readonly step: number;
  /** The lowest loss, in nats. */
  readonly loss: number;
  /** Successive evaluations that were not better, up to the latest. */
  readonly stale: number;
}

export class BestEvaluation {
  #state: BestState | undefined;

  constructor(
    readonly options: {
      /** Evaluations that may pass without a better one; no limit if undefined. */
      readonly earlyStoppingPatience?: number;
      readonly earlyStoppingThreshold: number;
    },
    state?: BestState,
  ) {
    this.#state = state;
  }

  get state(): BestState | undefined {
    return this.#state;
  }

  /** Whether the run should end. */
  get exhausted(): boolean {
    const { earlyStoppingPatience: patience = Infinity } = this.options;
    return (this.#state?.stale ?? 0) >= patience;
  }

  /** Records an evaluation; returns whether its loss is the lowest so far. */
  record(step: number, loss: number): boolean {
    const before = this.#state;
    if (!before) {
      if (Number.isFinite(loss)) this.#state = { step, loss, stale: 0 };
      return Number.isFinite(loss);
    }
    const lowest = loss < before.loss;
    const better = before.loss - loss > this.options.earlyStoppingThreshold;
    const stale = better ? 0 : before.stale + 1;
    this.#state = lowest ? { step, loss, stale } : { ...before, stale };
    return lowest;
  }
}

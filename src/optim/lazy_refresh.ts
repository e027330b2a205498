/**
 * When to refresh a matrix's subspace. Q-GaLore (Zhang et al. 2024, section 3.3): while the leading
 * singular vectors of successive refreshes stay similar, the subspace has converged and the
 * interval to the next refresh grows. Plain data, one record per matrix, so that checkpoints can
 * store it.
 */

export interface LazyRefresh {
  /** Steps between refreshes; grows. */
  interval: number;
  /** The most recent similarities, newest last. */
  queue: number[];
  /** Refreshes so far. */
  refreshes: number;
}

export interface LazyRule {
  /** Number of similarities averaged. */
  readonly queueSize: number;
  /** Mean similarity at which the interval grows. */
  readonly cosThreshold: number;
  /** Growth factor of the interval. */
  readonly gammaProj: number;
}

/** Recorded by a first refresh, which has no earlier vector to compare with. */
export const NO_SIMILARITY = -1;

export function createLazyRefresh(interval: number): LazyRefresh {
  return { interval, queue: [], refreshes: 0 };
}

/** Whether a step, counted from 0, begins with a refresh; the first of a run always does. */
export function isDue({ interval, refreshes }: LazyRefresh, step: number): boolean {
  return refreshes === 0 || step % interval === 0;
}

/**
 * Whether a step, counted from 0, may begin with a refresh while the similarity of the last one is
 * still to be recorded: with the present interval, or with the one that it may grow to.
 */
export function mayBeDue(state: LazyRefresh, step: number, rule: LazyRule): boolean {
  return isDue(state, step) || step % grown(state, rule) === 0;
}

function grown({ interval }: LazyRefresh, { gammaProj }: LazyRule): number {
  return Math.floor(interval * gammaProj);
}

/**
 * Records the |cos| between a refresh's leading vector and the previous one; grows the interval
 * once the queue is full and its mean reaches the threshold. {@link NO_SIMILARITY} and NaN are
 * ignored. The reference uses the signed cosine, but the sign of a singular vector is arbitrary:
 * where it flips, the reference misses the convergence.
 */
export function recordSimilarity(state: LazyRefresh, similarity: number, rule: LazyRule): void {
  if (!(similarity >= 0)) return;
  while (state.queue.length >= rule.queueSize) state.queue.shift();
  state.queue.push(similarity);
  if (state.queue.length < rule.queueSize) return;
  const mean = state.queue.reduce((sum, value) => sum + value, 0) / rule.queueSize;
  if (mean >= rule.cosThreshold) state.interval = grown(state, rule);
}

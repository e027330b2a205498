/**
 * When to look for a matrix's subspace again. Q-GaLore (Zhang et al. 2024, section 3.3): as long as
 * the leading singular vectors of successive refreshes are alike, the subspace has settled, and the
 * interval to the next refresh grows. Plain data, one record a matrix, for checkpoints.
 */

export interface LazyRefresh {
  /** Steps between refreshes; grows. */
  interval: number;
  /** The last similarities, the newest last. */
  queue: number[];
  /** Refreshes so far. */
  refreshes: number;
}

export interface LazyRule {
  /** Similarities that are averaged. */
  readonly queueSize: number;
  /** The mean from which on the interval grows. */
  readonly cosThreshold: number;
  /** Factor of the interval. */
  readonly gammaProj: number;
}

/** What a first refresh has in place of a similarity: there is no vector before it. */
export const NO_SIMILARITY = -1;

export function createLazyRefresh(interval: number): LazyRefresh {
  return { interval, queue: [], refreshes: 0 };
}

/** Whether a step, counted from 0, begins with a refresh: the first of a run always does. */
export function isDue({ interval, refreshes }: LazyRefresh, step: number): boolean {
  return refreshes === 0 || step % interval === 0;
}

/**
 * Takes the |cos| of a refresh's leading vector with the one before, and lets the interval grow once
 * the queue is full and its mean reaches the threshold. A {@link NO_SIMILARITY} is passed over, and
 * so is a NaN. The reference takes the cosine with its sign, which is arbitrary for a singular
 * vector: where it flips, it sees no convergence.
 */
export function recordSimilarity(state: LazyRefresh, similarity: number, rule: LazyRule): void {
  if (!(similarity >= 0)) return;
  while (state.queue.length >= rule.queueSize) state.queue.shift();
  state.queue.push(similarity);
  if (state.queue.length < rule.queueSize) return;
  const mean = state.queue.reduce((sum, value) => sum + value, 0) / rule.queueSize;
  if (mean >= rule.cosThreshold) state.interval = Math.floor(state.interval * rule.gammaProj);
}

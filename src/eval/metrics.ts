/**
 * Metrics of tasks, with standard errors. Definitions are those of scikit-learn (`f1_score`,
 * `matthews_corrcoef`) and lm-evaluation-harness (the errors).
 */
import { randomStream } from "../inference/sampling.ts";

/** A metric with its standard error. */
export interface Score {
  /** In [0, 1], or [−1, 1] for `mcc`. */
  readonly value: number;
  /** Null for fewer than two questions. */
  readonly stderr: number | null;
}

/** The mean, with the sample standard deviation over √n. */
export function meanScore(values: ArrayLike<number>): Score {
  const n = values.length;
  let total = 0, squares = 0;
  for (let i = 0; i < n; i++) total += values[i];
  const value = total / n;
  for (let i = 0; i < n; i++) squares += (values[i] - value) ** 2;
  return { value, stderr: n > 1 ? Math.sqrt(squares / (n - 1) / n) : null };
}

/**
 * The mean over groups, weighted by size: the accuracy over all questions. Its error is pooled from
 * the groups' errors; null if one has none.
 */
export function pooledScore(groups: readonly (Score & { readonly size: number })[]): Score {
  const total = groups.reduce((sum, { size }) => sum + size, 0);
  const value = groups.reduce((sum, group) => sum + group.value * group.size, 0) / total;
  if (groups.some(({ stderr }) => stderr === null)) return { value, stderr: null };
  const squares = groups.reduce(
    (sum, { stderr, size }) => sum + (size - 1) * stderr! ** 2 * size,
    0,
  );
  return { value, stderr: Math.sqrt(squares / (total - groups.length) / total) };
}

/** Counts of two classes, 1 being the positive one. */
export interface Confusion {
  truePositives: number;
  falsePositives: number;
  falseNegatives: number;
  trueNegatives: number;
}

export type BinaryStatistic = (counts: Confusion) => number;

/** Harmonic mean of precision and recall; 0 if there are no positives at all. */
export function f1({ truePositives, falsePositives, falseNegatives }: Confusion): number {
  const of = 2 * truePositives + falsePositives + falseNegatives;
  return of ? 2 * truePositives / of : 0;
}

/** Matthews correlation coefficient of gold and predicted classes; 0 if either is constant. */
export function matthews(counts: Confusion): number {
  const { truePositives: tp, falsePositives: fp, falseNegatives: fn, trueNegatives: tn } = counts;
  const of = Math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn));
  return of ? (tp * tn - fp * fn) / of : 0;
}

/** Enough resamples for about two digits of the error. */
const RESAMPLES = 1000;

/** A statistic of gold and predicted classes; its error is bootstrapped deterministically. */
export function binaryScore(
  statistic: BinaryStatistic,
  gold: readonly number[],
  predicted: readonly number[],
): Score {
  const n = gold.length;
  // The cell of the confusion matrix of each question: gold in the high bit.
  const cells = Uint8Array.from(gold, (label, i) => 2 * label + predicted[i]);
  const value = statistic(confusion(cells, (i) => i));
  if (n < 2) return { value, stderr: null };
  const random = randomStream(0);
  const resampled = Float64Array.from(
    { length: RESAMPLES },
    () => statistic(confusion(cells, () => Math.floor(random() * n))),
  );
  // The error is the deviation of the resampled statistic, not divided by √RESAMPLES.
  return { value, stderr: meanScore(resampled).stderr! * Math.sqrt(RESAMPLES) };
}

function confusion(cells: Uint8Array, pick: (i: number) => number): Confusion {
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < cells.length; i++) counts[cells[pick(i)]]++;
  const [trueNegatives, falsePositives, falseNegatives, truePositives] = counts;
  return { truePositives, falsePositives, falseNegatives, trueNegatives };
}

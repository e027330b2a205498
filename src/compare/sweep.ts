/** The learning rates that are tried for a method, and the one that its runs have. */
import type { ComparedMethod } from "./methods.ts";
import type { CompareOptions } from "./options.ts";
import type { RunRecord } from "./record.ts";

/** Rates beyond those asked for, at most, while the best is at an end. */
const MOST_BEYOND = 2;

/** The runs of a sweep that count, the rate to try next and, once there is none, the best. */
export interface Sweep {
  /** In the order in which they are tried. */
  readonly tried: readonly RunRecord[];
  /** Undefined once the sweep has ended. */
  readonly next?: number;
}

/**
 * Follows a sweep from the rates that were asked for; `find` returns the run of a rate, if it is done.
 * What was tried for another sweep counts only where this one would try it.
 */
export function followSweep(
  asked: readonly number[],
  find: (lr: number) => RunRecord | undefined,
): Sweep {
  const tried: RunRecord[] = [];
  for (let next; (next = nextRate(asked, tried)) !== undefined;) {
    const run = find(next);
    if (!run) return { tried, next };
    tried.push(run);
  }
  return { tried };
}

/** The next rate to try; undefined if the best is known. `first` are those that were asked for. */
function nextRate(first: readonly number[], tried: readonly RunRecord[]): number | undefined {
  // No rate takes less memory.
  if (tried.some(lacksMemory)) return undefined;
  const open = first.find((lr) => !tried.some((run) => run.lr === lr));
  if (open !== undefined) return open;
  if (first.length < 2 || tried.length >= first.length + MOST_BEYOND) return undefined;
  const rates = tried.map(({ lr }) => lr).sort((a, b) => a - b);
  // If all diverge, a lower one may not.
  const at = rates.indexOf(bestOf(tried)?.lr ?? rates[0]);
  if (at > 0 && at < rates.length - 1) return undefined;
  const [edge, inner] = at === 0 ? [rates[0], rates[1]] : [rates[at], rates[at - 1]];
  return rounded(edge * edge / inner);
}

/** The rates to try first, the lowest first; none where there is nothing to choose. */
export function askedRates(
  { lr, lrGiven }: ComparedMethod,
  { lrSweep }: Pick<CompareOptions, "lrSweep">,
): number[] {
  const multiples = [...new Set(lrSweep)].sort((a, b) => a - b);
  if (lrGiven || multiples.length === 1) return [];
  return multiples.map((multiple) => rounded(lr * multiple));
}

/**
 * The rate of a method's runs: the one given, the only multiple asked for, or the best of the sweep;
 * undefined as long as that is not known, or if none of its rates went well.
 */
export function rateOf(
  method: ComparedMethod,
  { lrSweep }: Pick<CompareOptions, "lrSweep">,
  { tried, next }: Sweep,
): number | undefined {
  if (method.lrGiven) return method.lr;
  if (!askedRates(method, { lrSweep }).length) return rounded(method.lr * lrSweep[0]);
  return next === undefined ? bestOf(tried)?.lr : undefined;
}

/** Without the last bits of a product, so that it can be written and read. */
function rounded(lr: number): number {
  return Number(lr.toPrecision(6));
}

/**
 * The loss by which rates are compared: on held-out data, or the mean of the last training losses if
 * nothing is held out.
 */
export function sweepLoss({ eval_loss, tail_loss }: RunRecord): number | undefined {
  return eval_loss ?? tail_loss;
}

/** The run with the lowest loss. */
export function bestOf(tried: readonly RunRecord[]): RunRecord | undefined {
  const lossOf = (run: RunRecord) => run.status === "done" ? sweepLoss(run) ?? Infinity : Infinity;
  const [best] = tried.toSorted((a, b) => lossOf(a) - lossOf(b));
  return best && lossOf(best) < Infinity ? best : undefined;
}

/** Whether a run ended for want of memory. */
export function lacksMemory({ status }: Pick<RunRecord, "status">): boolean {
  return status === "does_not_fit" || status === "out_of_memory";
}

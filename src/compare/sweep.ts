/** The learning rates that are tried for a method, and the one that wins. */
import type { RunRecord } from "./record.ts";

/** Rates beyond those asked for, at most, while the best is at an end. */
const MOST_BEYOND = 2;

/** The next rate to try; undefined if the best is known. `first` are those that were asked for. */
export function nextRate(
  first: readonly number[],
  tried: readonly RunRecord[],
): number | undefined {
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

/** Without the last bits of a product, so that it can be written and read. */
export function rounded(lr: number): number {
  return Number(lr.toPrecision(6));
}

/** The run with the lowest loss on held-out data, or of training if nothing is held out. */
export function bestOf(tried: readonly RunRecord[]): RunRecord | undefined {
  const lossOf = ({ status, eval_loss, final_loss }: RunRecord) =>
    status === "done" ? eval_loss ?? final_loss ?? Infinity : Infinity;
  const [best] = tried.toSorted((a, b) => lossOf(a) - lossOf(b));
  return best && lossOf(best) < Infinity ? best : undefined;
}

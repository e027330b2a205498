/** From the runs of a comparison to what is said of each method. */
import { METHODS } from "../train/methods.ts";
import type { ComparedMethod } from "./methods.ts";
import { type MethodRecord, type RunRecord, type SpeedRecord, spreadOf } from "./record.ts";
import { bestOf } from "./sweep.ts";

/** What has been done of a method. */
export interface Done {
  readonly sweep: readonly RunRecord[];
  readonly runs: readonly RunRecord[];
  readonly speeds: readonly SpeedRecord[];
}

/** `first` are the runs of the first method, with which the others are compared. */
export function methodRecord(
  method: ComparedMethod,
  { sweep, runs, speeds }: Done,
  first: readonly RunRecord[],
): MethodRecord {
  const { name, optimizer, lr, lrGiven } = method;
  const ended = runs.filter(({ status }) => status === "done");
  const evalLoss = spreadOf(ended.map(({ eval_loss }) => eval_loss));
  const most = (values: readonly (number | undefined)[]) => {
    const known = values.filter((value) => value !== undefined);
    return known.length ? Math.max(...known) : undefined;
  };
  const differences = ended.map(({ seed, eval_loss }) => {
    const other = first.find((run) => run.seed === seed && run.status === "done")?.eval_loss;
    return eval_loss === undefined || other === undefined ? undefined : eval_loss - other;
  });
  return {
    name,
    optimizer,
    title: METHODS[optimizer].title,
    lr: runs[0]?.lr ?? bestOf(sweep)?.lr ?? (sweep.length ? undefined : lr),
    lr_from: lrGiven ? "given" : sweep.length ? "sweep" : "usual",
    sweep,
    runs,
    final_loss: spreadOf(ended.map(({ final_loss }) => final_loss)),
    eval_loss: evalLoss,
    eval_perplexity: evalLoss && Math.exp(evalLoss.mean),
    difference: spreadOf(differences),
    planned_peak_bytes: most([...runs, ...sweep].map((run) => run.planned_peak_bytes)),
    gpu_peak_bytes: most([...runs, ...sweep].map((run) => run.gpu_peak_bytes)),
    by_purpose: [...runs, ...sweep].find((run) => run.by_purpose)?.by_purpose,
    tokens_per_second: median(speeds.map(({ tokens_per_second }) => tokens_per_second)),
    refresh_ms: median(speeds.map(({ refresh_ms }) => refresh_ms)),
    subspace_refreshes: spreadOf(ended.map((run) => run.subspace_refreshes)),
    subspace_refreshes_fixed_interval: ended[0]?.subspace_refreshes_fixed_interval,
  };
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b), middle = sorted.length >> 1;
  if (!sorted.length) return undefined;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

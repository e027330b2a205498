/** From the runs of a comparison to what is said of each method. */
import { median } from "../numbers/median.ts";
import { METHODS } from "../train/methods.ts";
import type { ComparedMethod } from "./methods.ts";
import { type MethodRecord, type RunRecord, type SpeedRecord, spreadOf } from "./record.ts";

/** What has been done of a method. */
export interface Done {
  readonly sweep: readonly RunRecord[];
  readonly runs: readonly RunRecord[];
  readonly speeds: readonly SpeedRecord[];
  /** Tokens of a step without padding, of which speeds are. */
  readonly stepTokens: number;
}

/** `lr`: that of its runs, if it is known. `first` are the runs of the first method, with which the others are compared. */
export function methodRecord(
  method: ComparedMethod,
  lr: number | undefined,
  { sweep, runs, speeds, stepTokens }: Done,
  first: readonly RunRecord[],
): MethodRecord {
  const { name, optimizer, lrGiven } = method;
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
  const speed = median(speeds.map(({ tokens_per_second }) => tokens_per_second));
  const refresh = median(speeds.map(({ refresh_ms }) => refresh_ms));
  return {
    name,
    optimizer,
    title: METHODS[optimizer].title,
    lr,
    lr_from: lrGiven ? "given" : sweep.length ? "sweep" : "usual",
    sweep,
    runs,
    final_loss: spreadOf(ended.map(({ final_loss }) => final_loss)),
    tail_loss: spreadOf(ended.map(({ tail_loss }) => tail_loss)),
    eval_loss: evalLoss,
    eval_perplexity: evalLoss && Math.exp(evalLoss.mean),
    difference: spreadOf(differences),
    planned_peak_bytes: most([...runs, ...sweep].map((run) => run.planned_peak_bytes)),
    gpu_peak_bytes: most([...runs, ...sweep].map((run) => run.gpu_peak_bytes)),
    by_purpose: [...runs, ...sweep].find((run) => run.by_purpose)?.by_purpose,
    tokens_per_second: speed,
    refresh_ms: refresh,
    tokens_per_second_with_refreshes: withRefreshes(ended[0], stepTokens, speed, refresh),
    subspace_refreshes: spreadOf(ended.map((run) => run.subspace_refreshes)),
    subspace_refreshes_fixed_interval: ended[0]?.subspace_refreshes_fixed_interval,
  };
}

/** Of a whole run: its steps at their speed, and its refreshes as part of one of all subspaces. */
function withRefreshes(
  run: RunRecord | undefined,
  stepTokens: number,
  speed: number | undefined,
  refreshMs: number | undefined,
): number | undefined {
  const { steps = 0, subspaces, subspace_refreshes: refreshes } = run ?? {};
  const tokens = steps * stepTokens;
  if (!subspaces || !refreshes || !speed || refreshMs === undefined) return undefined;
  return tokens / (tokens / speed + refreshMs / 1000 * refreshes / subspaces);
}

/**
 * Learning rates over a run: a linear warm-up from zero, then cosine, linear or constant. The
 * formulas of GaLore's `get_cyclical_cosine_schedule_with_min_lr` (one cycle) and of transformers'
 * `get_*_schedule_with_warmup`. The floor applies to `linear` as well, which in transformers decays
 * to zero. Restarts are ReLoRA's (Lialin et al. 2023, arXiv 2307.05695).
 */

export type SchedulerName = "cosine" | "linear" | "constant";

export interface Schedule {
  readonly scheduler: SchedulerName;
  /** The peak learning rate. */
  readonly lr: number;
  /** Steps of the run. */
  readonly steps: number;
  readonly warmupSteps: number;
  /** The rate after the last step, as a fraction of `lr`; ignored by `constant`. */
  readonly minLrRatio: number;
  /** ReLoRA's jagged schedule: after each restart the rate rises again, from zero. */
  readonly restarts?: {
    /** Steps from one to the next. */
    readonly every: number;
    /** Steps until the rate is what it would be without them. */
    readonly warmupSteps: number;
  };
}

/**
 * The learning rate of the update after `done` finished ones; the first has `done` = 0. As in both
 * sources a warm-up starts at zero, so the first update of such a run changes nothing.
 */
export function learningRate(schedule: Schedule, done: number): number {
  return withRestarts(schedule, done, (done) => rateWithout(schedule, done));
}

/** The same without restarts. */
export function rateWithout(schedule: Schedule, done: number): number {
  return schedule.lr * factor(schedule, done);
}

/** A rate with restarts, from what it is without them at any step. */
export function withRestarts(
  { warmupSteps, restarts }: Pick<Schedule, "warmupSteps" | "restarts">,
  done: number,
  without: (done: number) => number,
): number {
  const since = restarts ? done % restarts.every : done;
  if (!restarts || done < Math.max(warmupSteps, restarts.every) || since >= restarts.warmupSteps) {
    return without(done);
  }
  return without(done - since + restarts.warmupSteps) * since / restarts.warmupSteps;
}

function factor({ scheduler, steps, warmupSteps, minLrRatio }: Schedule, done: number): number {
  if (done < warmupSteps) return done / warmupSteps;
  if (scheduler === "constant") return 1;
  const progress = Math.min(1, (done - warmupSteps) / Math.max(1, steps - warmupSteps));
  const decay = scheduler === "cosine" ? (1 + Math.cos(Math.PI * progress)) / 2 : 1 - progress;
  return minLrRatio + (1 - minLrRatio) * decay;
}

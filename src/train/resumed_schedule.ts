/**
 * The learning rate of a run that is resumed with another schedule. A schedule is a function of the
 * run's total, so with more steps the rate would jump back up at once: from its floor to the peak.
 * Instead it starts where the earlier schedule was, and joins the new one over some steps. A rate
 * that was set anew applies at once, since that is what was asked for.
 */
import { rateWithout, type Schedule, withRestarts } from "../optim/schedules.ts";
import { joinPhrases, option, type Phrase, phrase } from "../options/phrase.ts";

/** A schedule, and how a run that began with another joins it. JSON. */
export interface RunSchedule extends Schedule {
  readonly join?: Join;
}

/** From the rate of the earlier schedule to that of the new one, linearly. */
interface Join {
  /** Steps done when the run was resumed. */
  readonly after: number;
  /** The rate that the earlier schedule would have had next, without restarts. */
  readonly rate: number;
  /** Steps until the new schedule's rate is reached. */
  readonly steps: number;
}

/** The share of the remaining steps over which schedules are joined, at least. */
const JOINED_SHARE = 0.1;

/** What a schedule consists of, besides the total, which has a rule of its own. */
const SETTINGS = ["lr", "scheduler", "minLrRatio"] as const;

/** The rate of the update after `done` finished ones, as learningRate in schedules.ts. */
export function rateOf(schedule: RunSchedule, done: number): number {
  return withRestarts(schedule, done, (done) => joined(schedule, done));
}

/** Without restarts: schedules are joined below them, since at a restart every rate is zero. */
function joined({ join, ...schedule }: RunSchedule, done: number): number {
  const rate = rateWithout(schedule, done);
  if (!join || done >= join.after + join.steps) return rate;
  const share = (done - join.after) / join.steps;
  return join.rate + share * (rate - join.rate);
}

/** The schedule after a checkpoint with `done` steps, and what to tell about it. */
export function resumedSchedule(
  saved: RunSchedule | undefined,
  now: Schedule,
  done: number,
): { readonly schedule: RunSchedule; readonly notes: readonly Phrase[] } {
  // Checkpoints of earlier versions have none.
  if (!saved) return { schedule: now, notes: [] };
  const changed = [...SETTINGS, "steps" as const].filter((name) => saved[name] !== now[name]);
  if (!changed.length && saved.warmupSteps === now.warmupSteps) {
    return { schedule: saved, notes: [] };
  }
  const was = joinPhrases(
    changed.map((name) => phrase`${option(name)} was ${saved[name]}, is ${now[name]}`),
    "; ",
  );
  const left = now.steps - done;
  if (left <= 0) {
    return {
      schedule: now,
      notes: [phrase`${was}: the checkpoint is after step ${done}, so no step is left`],
    };
  }
  const rate = joined(saved, done), next = rateWithout(now, done);
  const asked = SETTINGS.some((name) => changed.includes(name));
  if (asked || close(rate, next)) {
    return {
      schedule: now,
      notes: changed.length
        ? [phrase`${was}: the learning rate goes on with ${show(next)} (it was ${show(rate)})`]
        : [],
    };
  }
  const steps = Math.min(left, Math.max(now.warmupSteps, Math.ceil(JOINED_SHARE * left)));
  const schedule = { ...now, join: { after: done, rate, steps } };
  const at = done + steps, why = changed.length ? phrase`${was}: ` : "";
  return {
    schedule,
    notes: [
      phrase`${why}the learning rate starts from ${show(rate)}, where it was, and joins the new
        schedule at step ${at} with ${show(rateWithout(now, at))}`,
    ],
  };
}

function close(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}

function show(rate: number): string {
  return String(Number(rate.toPrecision(3)));
}

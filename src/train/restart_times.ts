/** How often adapters restart, and for how long rates then rise. */
import type { OptimizerRates } from "../optim/rates.ts";
import { MOST_RESTART_STEPS, MOST_RESTART_WARMUP } from "./fields.ts";

/** The length of a run. */
export interface Length {
  readonly steps: number;
  /** Of its start. */
  readonly warmupSteps: number;
}

/** The options of restarts, some of them open. */
type Restarting = Pick<OptimizerRates, "jaggedRestartSteps" | "jaggedRestartWarmupSteps">;

/**
 * What is left open decided. The first restart comes after the first warm-up. A warm-up of a single
 * step would only waste it, at a rate of zero, so there are two at least, or between restarts of less
 * than four none.
 */
export function decidedRestarts(open: Restarting, { steps, warmupSteps }: Length) {
  const {
    jaggedRestartSteps = Math.max(
      warmupSteps,
      Math.min(MOST_RESTART_STEPS, Math.ceil(steps / 4)),
    ),
    jaggedRestartWarmupSteps = jaggedRestartSteps < 4
      ? 0
      : Math.min(MOST_RESTART_WARMUP, Math.max(2, Math.floor(jaggedRestartSteps / 10))),
  } = open;
  return { jaggedRestartSteps, jaggedRestartWarmupSteps };
}

/** Why rates would never rise between restarts, if they would not. */
export function neverRises(
  { jaggedRestartSteps: every, jaggedRestartWarmupSteps: warmup }: Required<Restarting>,
): string | undefined {
  return warmup >= every
    ? `must be fewer than the ${every} steps from one restart to the next, got ${warmup}`
    : undefined;
}

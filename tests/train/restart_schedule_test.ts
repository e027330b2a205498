/** ReLoRA's restarts in the learning rate of a run that is resumed with another schedule. */
import { assertAlmostEquals } from "@std/assert";
import { rateOf, resumedSchedule } from "../../src/train/resumed_schedule.ts";

const EVERY = 250, WARMUP = 25, STEPS = 1250;

const SAVED = {
  scheduler: "cosine",
  lr: 1,
  steps: STEPS,
  warmupSteps: 0,
  minLrRatio: 0.1,
  restarts: { every: EVERY, warmupSteps: WARMUP },
} as const;

/** A cosine from 1 to a tenth over so many steps. */
const cosine = (steps: number, done: number) =>
  0.1 + 0.9 * (1 + Math.cos(Math.PI * done / steps)) / 2;

for (const done of [990, 1000, 1010]) {
  Deno.test(`after ${done} steps, around a restart, more steps join what is without restarts`, () => {
    const { schedule } = resumedSchedule(SAVED, { ...SAVED, steps: 4000 }, done);
    const length = Math.ceil((4000 - done) / 10), from = cosine(STEPS, done);
    const joined = (at: number) =>
      from + Math.min(1, (at - done) / length) * (cosine(4000, at) - from);
    for (const at of [990, 999, 1000, 1001, 1013, 1025, 1100, 1250, 1260, 1400, 3000]) {
      if (at < done) continue;
      const since = at % EVERY;
      const expected = since < WARMUP ? joined(at - since + WARMUP) * since / WARMUP : joined(at);
      assertAlmostEquals(rateOf(schedule, at), expected, 1e-12, `${at}`);
    }
  });
}

Deno.test("a longer warm-up is joined from where the rate was, though a restart is due", () => {
  const { schedule } = resumedSchedule(SAVED, { ...SAVED, warmupSteps: 800 }, 750);
  // The first warm-up goes on until step 800: no restart before.
  assertAlmostEquals(rateOf(schedule, 750), cosine(STEPS, 750), 1e-12);
  const share = 40 / 500, from = cosine(STEPS, 750);
  assertAlmostEquals(rateOf(schedule, 790), from + share * (790 / 800 - from), 1e-12);
});

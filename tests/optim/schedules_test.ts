import { assertAlmostEquals, assertStrictEquals } from "@std/assert";
import golden from "../fixtures/schedules/rates.json" with { type: "json" };
import { learningRate, type Schedule } from "../../src/optim/schedules.ts";

for (const { rates, ...options } of golden.cases) {
  const schedule = options as Schedule;
  const { scheduler, steps, warmupSteps } = schedule;
  Deno.test(`${scheduler}, ${steps} steps, ${warmupSteps} of warm-up: as transformers`, () => {
    for (const [done, expected] of rates.entries()) {
      // The same formula in float64 on both sides: a few roundings apart.
      assertAlmostEquals(learningRate(schedule, done), expected, 1e-15 * schedule.lr * 8);
    }
  });
}

const SCHEDULE: Schedule = {
  scheduler: "linear",
  lr: 2,
  steps: 10,
  warmupSteps: 2,
  minLrRatio: 0.5,
};

Deno.test("linear falls to the minimum, and stays there beyond the last step", () => {
  assertStrictEquals(learningRate(SCHEDULE, 2), 2);
  assertStrictEquals(learningRate(SCHEDULE, 6), 1.5);
  assertStrictEquals(learningRate(SCHEDULE, 10), 1);
  assertStrictEquals(learningRate(SCHEDULE, 99), 1);
});

Deno.test("cosine reaches the minimum after the last step", () => {
  const schedule: Schedule = { ...SCHEDULE, scheduler: "cosine" };
  assertStrictEquals(learningRate(schedule, 6), 1.5);
  assertStrictEquals(learningRate(schedule, 10), 1);
});

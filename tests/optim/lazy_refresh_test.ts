import { assertEquals } from "@std/assert";
import {
  createLazyRefresh,
  isDue,
  mayBeDue,
  NO_SIMILARITY,
  recordSimilarity,
} from "../../src/optim/lazy_refresh.ts";

const RULE = { queueSize: 5, cosThreshold: 0.4, gammaProj: 2 };

interface ReferenceLog {
  update_proj_gap: number;
  log: { step: number; svd_count: number; update_proj_gap: number; queue: number[] }[];
}

for (const name of ["wide-stable", "tall-stable", "wide-drifting"]) {
  Deno.test(`the lazy rule follows the reference's log of ${name}`, async () => {
    const url = new URL(`../fixtures/quant/projector-${name}.json`, import.meta.url);
    const reference: ReferenceLog = JSON.parse(await Deno.readTextFile(url));
    const state = createLazyRefresh(reference.update_proj_gap);
    for (const { step, svd_count, update_proj_gap, queue } of reference.log) {
      if (isDue(state, step)) {
        state.refreshes++;
        // The newest in the reference's queue; no sign flips occur in these logs.
        recordSimilarity(state, step === 0 ? NO_SIMILARITY : Math.abs(queue.at(-1)!), RULE);
      }
      assertEquals(state.refreshes, svd_count, `step ${step}`);
      assertEquals(state.interval, update_proj_gap, `step ${step}`);
      assertEquals(state.queue, queue.map(Math.abs), `step ${step}`);
    }
  });
}

Deno.test("the interval grows only when the queue is full and its mean reaches the threshold", () => {
  const state = createLazyRefresh(200);
  for (const similarity of [0.9, 0.9, 0.9, 0.9]) recordSimilarity(state, similarity, RULE);
  assertEquals(state.interval, 200);
  recordSimilarity(state, NO_SIMILARITY, RULE);
  recordSimilarity(state, NaN, RULE);
  assertEquals(state.queue.length, 4);
  recordSimilarity(state, 0.9, RULE);
  assertEquals(state.interval, 400);
  for (let i = 0; i < 4; i++) recordSimilarity(state, 0, RULE);
  assertEquals(state.interval, 1600); // 0.72 and 0.54 still reach it, 0.36 and 0.18 do not
  assertEquals(state.queue, [0.9, 0, 0, 0, 0]);
});

Deno.test("a state survives JSON, and an interval stays whole", () => {
  const state = createLazyRefresh(5);
  for (let i = 0; i < 5; i++) recordSimilarity(state, 1, { ...RULE, gammaProj: 1.5 });
  assertEquals(state.interval, 7);
  assertEquals(JSON.parse(JSON.stringify(state)), state);
  assertEquals(isDue({ ...state, refreshes: 1 }, 14), true);
  assertEquals(isDue({ ...state, refreshes: 1 }, 15), false);
  assertEquals(isDue(state, 15), true); // nothing has been refreshed yet
});

Deno.test("what may be due is due with one of the intervals that a similarity can lead to", () => {
  for (const gammaProj of [1, 1.5, 2]) {
    const rule = { queueSize: 1, cosThreshold: 0.4, gammaProj };
    for (let step = 1; step < 100; step++) {
      const outcomes = [0, 1].map((similarity) => {
        const state = { ...createLazyRefresh(6), refreshes: 1 };
        recordSimilarity(state, similarity, rule);
        return isDue(state, step);
      });
      const state = { ...createLazyRefresh(6), refreshes: 1 };
      assertEquals(mayBeDue(state, step, rule), outcomes.includes(true), `step ${step}`);
    }
  }
});

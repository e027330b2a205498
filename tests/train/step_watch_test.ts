import { assertEquals } from "@std/assert";
import type { ProgressEvent } from "../../src/train/events.ts";
import { type LayerTimes, StepWatch } from "../../src/train/step_watch.ts";

Deno.test("the time left of a step: of each pass the layers to come, once its kind was timed", () => {
  const seen: Partial<ProgressEvent>[] = [], times: LayerTimes = {};
  let now = 0;
  const passed = (watch: StepWatch, part: "forward" | "backward" | "refresh", index: number) => {
    watch.watch(part, index, part === "refresh" ? 6 : 3)();
    return seen.at(-1)!.seconds_left;
  };
  const open = (refreshes: number) =>
    new StepWatch({ microBatches: 2, refreshes }, times, (how) => seen.push(how), () => now);
  /** Layers of a pass take `ms` each, but the first `other` more. */
  const pass = (watch: StepWatch, part: "forward" | "backward", ms: number, other: number) =>
    [1, 2, 3].map((layer) => {
      now += layer === 1 ? ms + other : ms;
      return passed(watch, part, layer);
    });
  const first = open(6), unknown = [undefined, undefined, undefined];
  assertEquals(pass(first, "forward", 1000, 500), unknown);
  for (let subspace = 1; subspace <= 6; subspace++) passed(first, "refresh", subspace);
  assertEquals(pass(first, "backward", 9000, 500), unknown);
  assertEquals(pass(first, "forward", 1000, 0), unknown);
  // From here on every kind is known.
  assertEquals(pass(first, "backward", 2000, 500), [undefined, 2, 0]);
  assertEquals(seen.map(({ done }) => done), seen.map((_, index) => index + 1));
  assertEquals(seen.at(-1)!.total, seen.length);
  assertEquals([times.forward, times.refreshing, times.backward], [1000, 9000, 2000]);

  const plain = open(0);
  // Two layers there, three back, and all of the second micro-batch: 2 + 6 + 3 + 6 seconds.
  assertEquals(pass(plain, "forward", 1000, 0), [17, 16, 15]);
  const refreshing = open(6);
  assertEquals(pass(refreshing, "forward", 1000, 0), [38, 37, 36]);
});

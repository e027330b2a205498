import { assertEquals } from "@std/assert";
import type { Watch } from "../../src/gpu/watch.ts";
import type { ProgressEvent } from "../../src/train/events.ts";
import { type LayerTimes, type StepExtent, StepWatch } from "../../src/train/step_watch.ts";

/** Watches steps of three layers, whose clock passes as they say. */
function stopwatch() {
  const seen: Partial<ProgressEvent>[] = [], times: LayerTimes = {};
  let now = 0;
  return {
    seen,
    times,
    open: (extent: StepExtent) =>
      new StepWatch(extent, times, (how) => seen.push(how), () => now).watch,
    /** So many refreshes after all passes, of `ms` each; returns the seconds left after each. */
    after: (watch: Watch, count: number, ms: number) =>
      Array.from({ length: count }, (_, index) => {
        now += ms;
        watch("refresh", index + 1, count)();
        return seen.at(-1)!.seconds_left;
      }),
    /**
     * Layers of a pass take `ms` each, but the first `other` more, and so many refreshes of each as
     * long as `refreshMs`; returns the seconds that are left after each layer.
     */
    pass(watch: Watch, part: "forward" | "backward", ms: number, more: Partial<Refreshing> = {}) {
      const { other = 0, refreshes = [0, 0, 0], refreshMs = 0 } = more;
      return refreshes.map((count, index) => {
        for (let subspace = 1; subspace <= count; subspace++) {
          now += refreshMs;
          watch("refresh", subspace, 6)();
        }
        now += index === 0 ? ms + other : ms;
        watch(part, index + 1, 3)();
        return seen.at(-1)!.seconds_left;
      });
    },
  };
}

interface Refreshing {
  readonly other: number;
  readonly refreshes: readonly number[];
  readonly refreshMs: number;
}

const UNKNOWN = [undefined, undefined, undefined], TWO_EACH = [2, 2, 2];

Deno.test("the time left of a step: what is to come of each kind of work that was timed", () => {
  const { open, pass, seen, times } = stopwatch();
  const extent = { microBatches: 2, refreshes: 6 }, other = 500;
  const first = open(extent);
  assertEquals(pass(first, "forward", 1000, { other }), UNKNOWN);
  const cold = { other, refreshes: TWO_EACH, refreshMs: 3500 };
  assertEquals(pass(first, "backward", 2000, cold), UNKNOWN);
  assertEquals(pass(first, "forward", 1000), UNKNOWN);
  assertEquals(pass(first, "backward", 2000, { other }), [undefined, 2, 0]);
  assertEquals(seen.map(({ done }) => done), seen.map((_, index) => index + 1));
  assertEquals(seen.at(-1)!.total, seen.length);
  // First refreshes take longer than any later ones.
  assertEquals(times, { forward: 1000, backward: 2000 });

  const plain = open({ microBatches: 2, refreshes: 0 });
  // Two layers there, three back, and all of the second micro-batch: 2 + 6 + 3 + 6 seconds.
  assertEquals(pass(plain, "forward", 1000), [17, 16, 15]);

  const warm = open(extent), refreshes = { refreshes: TWO_EACH, refreshMs: 1000 };
  assertEquals(pass(warm, "forward", 1000), UNKNOWN);
  // A layer with its two refreshes takes 4 seconds; the second micro-batch 9.
  assertEquals(pass(warm, "backward", 2000, refreshes), [undefined, 13, 9]);

  // Of one layer's subspaces two are due.
  const some = open({ microBatches: 1, refreshes: 2 });
  assertEquals(pass(some, "forward", 1000), [10, 9, 8]);
  assertEquals(pass(some, "backward", 2000, { ...refreshes, refreshes: [0, 2, 0] }), [6, 2, 0]);
});

Deno.test("a first step's refreshes count with its layers", () => {
  const { open, pass } = stopwatch(), watch = open({ microBatches: 1, refreshes: 6 });
  pass(watch, "forward", 1000);
  const cold = { refreshes: TWO_EACH, refreshMs: 3500 };
  assertEquals(pass(watch, "backward", 2000, cold), [undefined, 9, 0]);
});

Deno.test("refreshes after all passes belong to no layer, and are timed by themselves", () => {
  const { open, pass, after, seen, times } = stopwatch(),
    extent = { microBatches: 1, refreshes: 3 };
  const step = (refreshMs: number) => {
    const watch = open(extent);
    const forward = pass(watch, "forward", 1000);
    return [...forward, ...pass(watch, "backward", 2000), ...after(watch, 3, refreshMs)];
  };
  assertEquals(step(6000), [...UNKNOWN, ...UNKNOWN, undefined, 6, 0]);
  assertEquals([times.refresh, seen.at(-1)!.layer, seen.at(-1)!.total], [undefined, undefined, 9]);
  assertEquals(step(3000).slice(-3), [undefined, 3, 0]);
  // Two layers there, three back and three refreshes: 2 + 6 + 9 seconds.
  assertEquals(step(3000), [17, 16, 15, 13, 11, 9, 6, 3, 0]);
});

Deno.test("layers that are reported all at once do not make the rest of a step short", () => {
  const { open, pass } = stopwatch(), watch = open({ microBatches: 3, refreshes: 0 });
  pass(watch, "forward", 1000);
  pass(watch, "backward", 2000);
  // At most 0.3 less a layer: 0.7 + 6 + 2.1 + 6 seconds, then 6 + 2.1 + 6.
  assertEquals(pass(watch, "forward", 0), [17, 14.8, 14.1]);
});

Deno.test("layers that are told of together take as long as those that are told of singly", () => {
  const seen: (number | undefined)[] = [], times: LayerTimes = {}, layers = 8;
  let now = 0;
  /** A step whose layers take a second each, and two back; told of once so many are done. */
  const step = (together: readonly number[]) => {
    const extent = { microBatches: 1, refreshes: 0 };
    const { watch } = new StepWatch(
      extent,
      times,
      ({ seconds_left }) => seen.push(seconds_left),
      () => now,
    );
    for (let layer = 1; layer <= layers; layer++) {
      now += 1000;
      watch("forward", layer, layers)();
    }
    const before = seen.at(-1), told = seen.length;
    let layer = 0;
    for (const count of together) {
      now += 2000 * count;
      for (let left = count - 1; left >= 0; left--) watch("backward", ++layer, layers)(left > 0);
    }
    return [before, ...seen.slice(told)];
  };
  // Unknown is what takes as long as the first that are told of.
  assertEquals(step([8]), [undefined, 0]);
  const singly = Array(layers).fill(1);
  for (const together of [[8], [8], [8], [3, 5], [3, 3, 2], singly, [1, 7], [8]]) {
    let left = 16;
    assertEquals(step(together), [left, ...together.map((count) => left -= 2 * count)]);
  }
});

/** Several workers on one machine: as many jobs at a time. */
import { assert, assertEquals } from "@std/assert";
import { parseCards } from "../../../src/host/cards.ts";
import { ownPlaces } from "../../../src/server/jobs/slots.ts";
import type { StartTraining } from "../../../src/server/jobs/training_process.ts";
import { dealt } from "../../../src/server/processes/probe.ts";
import { until } from "../until.ts";
import { played } from "./stand_in_process.ts";
import { type Bench, withQueue } from "./support.ts";

/** The steps of jobs wait until the test lets them go on. */
function withWorkers(
  workers: number,
  use: (bench: Bench, letGo: (...ids: string[]) => void) => Promise<void>,
): Promise<void> {
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const made = (id: string) => {
    const gate = Promise.withResolvers<void>();
    gates.set(id, gate);
    return gate;
  };
  const gate = (id: string) => gates.get(id) ?? made(id);
  const startTraining = played((_, id) => ({ before: () => gate(id).promise }));
  const letGo = (...ids: string[]) => ids.forEach((id) => gate(id).resolve());
  return withQueue((bench) => use(bench, letGo), { workers, startTraining });
}

/** Before its first step a job that is paused has nothing to save, and is killed. */
async function begun(bench: Bench, id: string): Promise<void> {
  await until("its run is planned", () => bench.told(id).some((text) => /^Training \d/.test(text)));
}

Deno.test("two workers: two jobs at once, the third when one has ended, each with its place", () =>
  withWorkers(2, async (bench, letGo) => {
    const { queue, store } = bench;
    const ids = [1, 2, 3].map(() => queue.create(bench.job()).id);
    await bench.until(ids[1], "running");
    await bench.until(ids[2], "queued");
    const places = () => ids.map((id) => store.jobs.get(id)?.runsOn?.worker);
    assertEquals(places(), ["server-1", "server-2", undefined]);
    letGo(...ids);
    for (const id of ids) await bench.until(id, "succeeded");
    assertEquals(places(), [undefined, undefined, undefined]);
    const started = ids.map((id) => store.events.since(0, { jobId: id, limit: 99 }))
      .map((events) => events.find(({ data }) => data.status === "running")!.seq);
    const ended = store.events.since(0, { limit: 999 })
      .find(({ data }) => data.status === "succeeded")!.seq;
    assert(started[0] < ended && started[1] < ended && started[2] > ended, `${started}, ${ended}`);
  }));

Deno.test("each of two jobs is paused, resumed and cancelled by itself", () =>
  withWorkers(2, async (bench, letGo) => {
    const { queue, store } = bench;
    const [first, second] = [1, 2].map(() => queue.create(bench.job()).id);
    await bench.until(second, "running");
    await begun(bench, first);
    queue.pause(first);
    letGo(first);
    await bench.until(first, "paused");
    queue.cancel(first);
    assertEquals(store.jobs.status(second), "running");
    const third = queue.create(bench.job()).id;
    await bench.until(third, "running");
    assertEquals(store.jobs.get(third)?.runsOn?.worker, "server-1");
    await begun(bench, third);
    queue.pause(third);
    letGo(third);
    await bench.until(third, "paused");
    queue.resume(third);
    await bench.until(third, "succeeded");
    assertEquals(store.jobs.status(second), "running");
    letGo(second);
    await bench.until(second, "succeeded");
  }));

Deno.test("two cards, two workers: each process is told of its own", async () => {
  // As Mesa's device selection prints them.
  const cards = dealt(
    parseCards(`
  GPU 0: 10de:2684 "RTX 4090" discrete GPU 0000:01:00.0
  GPU 1: 10005:0 "llvmpipe" CPU 0000:00:00.0
  GPU 2: 10de:2684 "RTX 4090" discrete GPU 0000:41:00.0`)!,
  );
  const own = ownPlaces(2, "unknown", cards), told: (string | undefined)[] = [];
  const play = played(() => ({}));
  const startTraining: StartTraining = (task) => {
    told.push(task.environment?.DRI_PRIME);
    return play(task);
  };
  await withQueue(async (bench) => {
    const ids = [1, 2].map(() => bench.queue.create(bench.job()).id);
    for (const id of ids) await bench.until(id, "succeeded");
  }, { own, startTraining });
  assertEquals(told.sort(), ["pci-0000_01_00_0", "pci-0000_41_00_0"]);
  // One card is the driver's choice, as ever.
  assertEquals(dealt(parseCards('  GPU 0: 10de:2684 "RTX 4090" discrete GPU 0000:01:00.0')!), []);
});

Deno.test("crashes of one job do not count against its neighbour", () => {
  const attempts = new Map<string, number>();
  const startTraining = played((_, id) => {
    const attempt = (attempts.get(id) ?? 0) + 1;
    attempts.set(id, attempt);
    return attempt <= 2 ? { steps: 0, exit: { code: 137, signal: "SIGKILL" } } : {};
  });
  return withQueue(async (bench) => {
    const ids = [1, 2].map(() => bench.queue.create(bench.job()).id);
    for (const id of ids) await bench.until(id, "succeeded");
    assertEquals([...attempts.values()], [3, 3]);
  }, { workers: 2, startTraining });
});

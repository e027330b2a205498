/** Jobs of several processes: their turn and their workers, with played processes. */
import { assertEquals, assertMatch } from "@std/assert";
import { parseCards } from "../../../src/host/cards.ts";
import { ownPlaces, Slots } from "../../../src/server/jobs/slots.ts";
import type { StartTraining } from "../../../src/server/jobs/training_process.ts";
import { dealt } from "../../../src/server/processes/probe.ts";
import type { NewJob } from "../../../src/server/services.ts";
import { toWorkers } from "../../../src/server/protocol/worker.ts";
import { played } from "./stand_in_process.ts";
import { type Bench, withQueue } from "./support.ts";

const inRanks = (bench: Bench, ranks: number): NewJob => {
  const job = bench.job();
  return { ...job, plan: { ...job.plan, ranks } };
};

const findLauncher = () => "mpirun";

/** As Mesa's device selection prints two. */
const CARDS = dealt(
  parseCards(`
  GPU 0: 10de:2684 "RTX 4090" discrete GPU 0000:01:00.0
  GPU 1: 10de:2684 "RTX 4090" discrete GPU 0000:41:00.0`)!,
);

Deno.test("a job of two processes waits for two workers, and those behind it wait as well", () => {
  const gates = [1, 2, 3, 4].map(() => Promise.withResolvers<void>()), ids: string[] = [];
  const startTraining = played((_, id) => ({ before: () => gates[ids.indexOf(id)].promise }));
  return withQueue(async (bench) => {
    const { queue, store } = bench, own = queue.parts.own!;
    ids.push(...[1, 1, 2, 1].map((ranks) => queue.create(inRanks(bench, ranks)).id));
    await bench.until(ids[1], "running");
    await bench.until(ids[3], "queued");
    gates[0].resolve();
    await bench.until(ids[0], "succeeded");
    // One is free, and the last job would fit.
    assertEquals(ids.slice(2).map((id) => store.jobs.status(id)), ["queued", "queued"]);
    gates[1].resolve();
    const { runsOn } = await bench.until(ids[2], "running");
    assertEquals([runsOn!.worker, runsOn!.others], ["server-1", [{
      worker: "server-2",
      card: "GPU",
    }]]);
    const taken = () => toWorkers({ own, store }).data.map(({ job }) => job);
    assertEquals([taken(), store.jobs.status(ids[3])], [[ids[2], ids[2]], "queued"]);
    gates[2].resolve();
    await bench.until(ids[3], "running");
    assertEquals(taken(), [ids[3], null]);
    gates[3].resolve();
    await bench.until(ids[3], "succeeded");
  }, { own: ownPlaces(2, "GPU"), startTraining, findLauncher });
});

Deno.test("each process is told of its card, and so are two jobs at once", async () => {
  const told: unknown[] = [], play = played(() => ({}));
  const startTraining: StartTraining = (task) => {
    const { ranks, environment, cards } = task;
    told.push([ranks, environment?.DRI_PRIME, cards?.map(({ DRI_PRIME }) => DRI_PRIME)]);
    return play(task);
  };
  await withQueue(async (bench) => {
    const ids = [2, 1, 1].map((ranks) => bench.queue.create(inRanks(bench, ranks)).id);
    for (const id of ids) await bench.until(id, "succeeded");
  }, { own: ownPlaces(2, "unknown", CARDS), startTraining, findLauncher });
  const [first, second] = ["pci-0000_01_00_0", "pci-0000_41_00_0"];
  assertEquals(told[0], [2, undefined, [first, second]]);
  assertEquals(told.slice(1).sort(), [[undefined, first, undefined], [
    undefined,
    second,
    undefined,
  ]]);
});

Deno.test("of more workers than cards a job takes those of different cards", () => {
  const slots = new Slots(ownPlaces(4, "unknown", CARDS));
  slots.take();
  const two = slots.take(2);
  assertEquals([two.worker, two.others![0].worker], ["server-2", "server-3"]);
  slots.giveBack(two);
  assertEquals(slots.free, 3);
  assertEquals(slots.take().worker, "server-2");
});

Deno.test("a server that was started with fewer workers pauses what it cannot run", () =>
  withQueue(async (bench) => {
    const [large, small] = [2, 1].map((ranks) => bench.queue.create(inRanks(bench, ranks)).id);
    const { reason } = await bench.until(large, "paused");
    assertMatch(
      reason!,
      /^The job has 2 processes, and the server was started with 1 worker: start it/,
    );
    await bench.until(small, "succeeded");
  }, { workers: 1, queue: "", startTraining: played(() => ({})) }));

Deno.test("without a launcher a job of several processes is paused, with what to do", () => {
  const findLauncher = () => {
    throw new Error("there is no launcher: install one");
  };
  return withQueue(async (bench) => {
    const { id } = bench.queue.create(inRanks(bench, 2));
    const { reason } = await bench.until(id, "paused");
    assertEquals(reason, "there is no launcher: install one; then resume the job");
  }, { workers: 2, queue: "", startTraining: played(() => ({})), findLauncher });
});

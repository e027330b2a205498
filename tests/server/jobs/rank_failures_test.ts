/** What the client of a job of several processes hears of one that fails, or does not come. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ownPlaces } from "../../../src/server/jobs/slots.ts";
import { type StartTraining, startTraining } from "../../../src/server/jobs/training_process.ts";
import type { FailureEvent, WorkerEvent } from "../../../src/server/worker/protocol.ts";
import { mpiTest } from "../../parallel/support.ts";
import { until } from "../until.ts";
import { type Bench, withQueue } from "./support.ts";

const NOWHERE = "/nowhere/driver.json";

/** Without a card for one of the two. */
const withoutCard = (rank: number): StartTraining => (task) => {
  const none = { VK_DRIVER_FILES: NOWHERE, VK_ICD_FILENAMES: NOWHERE };
  return startTraining({ ...task, cards: [0, 1].map((each) => each === rank ? none : {}) });
};

for (const rank of [0, 1]) {
  mpiTest(
    `a job without a card for rank ${rank} fails at once, and says so`,
    () =>
      withQueue(async ({ queue, job, store, told }) => {
        const plain = job(), { id } = queue.create({ ...plain, plan: { ...plain.plan, ranks: 2 } });
        await until("it fails", () => store.jobs.status(id) === "failed");
        const { code, message } = store.jobs.get(id)!.error!;
        assertEquals(code, "gpu_error");
        assert(message.startsWith(`rank ${rank}: no WebGPU adapter was found`), message);
        assert(!told(id).join("\n").includes("continuing"));
      }, { own: ownPlaces(2, "GPU"), startTraining: withoutCard(rank) }),
  );
}

mpiTest(
  "where the run fails in rank 0, which tells the others, its own words are heard",
  () =>
    withQueue(async ({ queue, job, store }) => {
      const plain = job({ lr: 1e30, evalShare: 0 });
      const { id } = queue.create({ ...plain, plan: { ...plain.plan, ranks: 2 } });
      await until("it fails", () => store.jobs.status(id) === "failed");
      const { code, message } = store.jobs.get(id)!.error!;
      assertEquals(code, "invalid_run");
      assertMatch(message, /^step \d+: the loss is /);
    }, { own: ownPlaces(2, "GPU") }),
);

/** Says so much after its plan, the last of it when it is told to stop, if it waits for that. */
const saying = (events: readonly WorkerEvent[], waits: boolean): StartTraining => () => {
  const stopped = Promise.withResolvers<void>();
  if (!waits) stopped.resolve();
  return {
    events: (async function* () {
      yield { type: "plan", steps: 8 } as WorkerEvent;
      yield* events.slice(0, -1);
      await stopped.promise;
      yield events.at(-1)!;
    })(),
    exit: stopped.promise.then(() => ({ code: 1, signal: null, log: "" })),
    stop: () => stopped.resolve(),
    kill: () => stopped.resolve(),
  };
};

const FOLLOWING: FailureEvent = {
  type: "failure",
  code: "invalid_run",
  message: "rank 1 could not open the run: x",
  follows: true,
};
const FAILED: WorkerEvent = {
  type: "failure",
  code: "insufficient_gpu_memory",
  rank: 1,
  message: ["too large: lower ", { option: "batchSize" }],
  hint: "or rent",
};

Deno.test("of several failures the first counts that does not follow from another", async () => {
  const last: WorkerEvent = { type: "failure", code: "gpu_error", rank: 2, message: "y" };
  await withQueue(async ({ queue, job, store }) => {
    const { id } = queue.create(job());
    await until("it fails", () => store.jobs.status(id) === "failed");
    assertEquals(store.jobs.get(id)!.error, {
      code: "insufficient_gpu_memory",
      message: "rank 1: too large: lower batch_size\n  hint: or rent",
    });
  }, { startTraining: saying([FOLLOWING, FAILED, last], false) });
});

const WAITING = "rank 0 has waited 30 s for rank 1 (operation 9, sum)";
const GONE = "the run is to stop, and rank 1 is not there";

/** A job whose rank 1 hangs, which is told once it has been waited for. */
function hanging(use: (bench: Bench, id: string) => Promise<void>): Promise<void> {
  return withQueue(async (bench) => {
    const { id } = bench.queue.create(bench.job());
    await until("it is said for whom it waits", () => bench.told(id).includes(WAITING));
    await use(bench, id);
    assert(bench.told(id).includes(GONE));
  }, {
    startTraining: saying(
      [{ type: "waiting", message: WAITING }, { ...FOLLOWING, message: GONE }],
      true,
    ),
  });
}

Deno.test("a job that waits for a process that hangs says so, and can be paused", () =>
  hanging(async ({ queue, until }, id) => {
    queue.pause(id);
    const { error } = await until(id, "paused");
    assertEquals(error, undefined);
  }));

Deno.test("and goes on at the next start of the server", () =>
  hanging(async ({ queue, store }, id) => {
    await queue.stop();
    assertEquals(store.jobs.status(id), "running");
  }));

Deno.test("unless nobody asked for that", () =>
  withQueue(async ({ queue, job, store }) => {
    const { id } = queue.create(job());
    await until("it fails", () => store.jobs.status(id) === "failed");
    assertMatch(store.jobs.get(id)!.error!.message, /^rank 1 could not open the run: x/);
  }, { startTraining: saying([FOLLOWING], false) }));

/** The queue, mostly with real training processes on the local adapter. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { ApiError } from "../../../src/server/api_error.ts";
import type { EventRecord } from "../../../src/server/store/records.ts";
import { played } from "./stand_in_process.ts";
import { type Bench, withQueue } from "./support.ts";

function queueTest(name: string, use: (bench: Bench) => void | Promise<void>): void {
  Deno.test({ name, fn: () => withQueue(use), sanitizeOps: false, sanitizeResources: false });
}

/** Excludes evaluations after a pause, which have separate events. */
const steps = ({ store }: Bench, id: string) =>
  store.events.metrics(id).filter(({ data }) => data.train_loss !== undefined)
    .map(({ step }) => step);
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

let whole: Promise<Uint8Array> | undefined;

/** The weights of a job that nothing disturbs. */
function undisturbed(): Promise<Uint8Array> {
  const made = Promise.withResolvers<Uint8Array>();
  return whole ??= withQueue(async (bench) => {
    const { id } = bench.queue.create(bench.job());
    await bench.until(id, "succeeded");
    made.resolve(await weights(bench, id));
  }).then(() => made.promise);
}

function weights({ storage }: Bench, id: string): Promise<Uint8Array> {
  return Deno.readFile(join(storage.jobFolder(id), "model/model.safetensors"));
}

const isProgress = ({ data }: EventRecord) => data.phase !== undefined;

queueTest("a job runs to its end, and leaves events, a result and its curves", async (bench) => {
  const { queue, store, storage } = bench;
  const { id, status } = queue.create(bench.job({ samplePrompt: ["We are"] }));
  assertEquals(status, "validating_files");
  const phases = new Set<string>();
  const timer = setInterval(() => phases.add(queue.activity(id)?.phase ?? "none"), 1);
  const done = await bench.until(id, "succeeded");
  clearInterval(timer);
  for (const phase of ["training", "evaluating", "saving a checkpoint", "saving the model"]) {
    assert(phases.has(phase), `${phase} of ${[...phases].join(", ")}`);
  }
  assertEquals(store.events.keyed(id, "warning", 9).map(({ message }) => message), []);
  // It is of the moment, and not stored.
  assertEquals(store.events.since(0, { jobId: id, limit: 999 }).some(isProgress), false);
  assertEquals(done.resultModel, `pt:tiny::${id.slice(-8)}`);
  assertEquals(done.trainedTokens, 12 * 3 * 24);
  assertEquals(steps(bench, id), upTo(12));
  const [first, second] = bench.told(id);
  assertEquals(first, `Created pre-training job: ${id}`);
  assert(second.startsWith("Validating files: file-"));
  const points = store.events.metrics(id);
  // What the run wrote into its own folder.
  const lines = (await Deno.readTextFile(join(storage.jobFolder(id), "metrics.jsonl"))).trim()
    .split("\n").map((line) => JSON.parse(line));
  assertEquals(points.map(({ data }) => data.train_loss), lines.map(({ loss }) => loss));
  assertEquals(points.map(({ data }) => data.valid_loss), lines.map((line) => line.eval_loss));
  assertEquals(bench.told(id).filter((text) => text.startsWith("Sample at step")).length, 2);
  assertEquals(bench.told(id).filter((text) => text.startsWith("Checkpoint")), [
    "Checkpoint created at step 4",
    "Checkpoint created at step 8",
    "Checkpoint created at step 12",
  ]);
  // The two newest are kept.
  assertEquals(store.checkpoints.of(id).map(({ step }) => step), [8, 12]);
  const file = store.files.get(done.resultFiles[0])!;
  const csv = (await Deno.readTextFile(storage.filePath(file))).trim().split("\n");
  assertEquals(csv.length, 13);
  assertEquals(csv[12].split(",").slice(0, 2), ["12", String(lines[11].loss)]);
});

Deno.test({
  name: "one job at a time, first in, first out",
  fn: () =>
    withQueue(async (bench) => {
      const { queue, store } = bench;
      const [a, b, c] = [4, 4, 4].map((steps) => queue.create(bench.job({ steps })).id);
      await bench.until(a, "running");
      queue.cancel(b);
      await bench.until(c, "succeeded");
      assertEquals(store.jobs.get(b)!.status, "cancelled");
      assertEquals(steps(bench, b), []);
      const [first, last] = [a, c].map((id) => store.events.since(0, { jobId: id, limit: 100 }));
      const started = last.find(({ message }) => message.endsWith("job started"))!;
      assert(started.seq > first.at(-1)!.seq, "the second began when the first had ended");
    }, { startTraining: played(() => ({})) }),
  sanitizeOps: false,
  sanitizeResources: false,
});

queueTest("paused and resumed, the result is that of a job left alone", async (bench) => {
  const { queue, store } = bench;
  const expected = await undisturbed(), broken = queue.create(bench.job()).id;
  await bench.untilStep(broken, 5);
  queue.pause(broken);
  await bench.until(broken, "paused");
  const saved = store.checkpoints.of(broken).at(-1)!.step;
  assert(saved < 12, "it was paused before its end");
  assertEquals(saved, store.events.lastStep(broken), "the last step told of is the one saved");
  queue.resume(broken);
  await bench.until(broken, "succeeded");
  assertEquals(steps(bench, broken), upTo(12));
  assertEquals(await weights(bench, broken), expected);
});

queueTest("a process that is killed is started again from its checkpoint", async (bench) => {
  const { queue } = bench;
  const expected = await undisturbed(), broken = queue.create(bench.job()).id;
  await bench.untilStep(broken, 5);
  await new Deno.Command("pkill", { args: ["-9", "-P", `${Deno.pid}`, "-f", "worker/train.ts"] })
    .output();
  await bench.until(broken, "succeeded");
  assert(bench.told(broken).some((text) => text.includes("ended by signal SIGKILL; continuing")));
  assertEquals(steps(bench, broken), upTo(12));
  assertEquals(await weights(bench, broken), expected);
});

queueTest("a job that cannot run says why", async (bench) => {
  const { queue, store } = bench;
  // Its rank and interval, which adamw has no use for, are as version 0.1.0 stored them.
  const job = queue.create(bench.job({ lr: 1e30, optimizer: "adamw" }));
  await bench.until(job.id, "failed");
  const { error } = store.jobs.get(job.id)!;
  assertEquals(error!.code, "invalid_run");
  assert(error!.message.includes("the loss is"), error!.message);
});

queueTest("a file that has changed is found before the GPU is taken", async (bench) => {
  const { queue, store, storage } = bench;
  const job = bench.job(), file = store.files.get(job.trainingFiles[0])!;
  await Deno.writeTextFile(storage.filePath(file), "short");
  const { id } = queue.create(job);
  const { error } = await bench.until(id, "failed");
  assertEquals(error, {
    code: "invalid_training_file",
    message: `The file ${file.id} has 5 bytes in the data folder, expected ${file.bytes}`,
  });
});

Deno.test({
  name: "a job that the data folder has no room for waits for it, and says so",
  fn: () =>
    withQueue(async (bench) => {
      const { queue, store } = bench;
      const { id } = queue.create(bench.job());
      const { reason } = await bench.until(id, "paused");
      assertMatch(
        reason!,
        /^the data folder may take \d{3} KiB more, the job needs \d\.\d+ MiB: delete/,
      );
      assertEquals(steps(bench, id), []);
      const other = queue.create({ ...bench.job(), plan: { ...bench.job().plan, diskBytes: 1 } });
      await bench.until(other.id, "paused");
      // A checkpoint filled the disk: the job will resume from there.
      assert(store.checkpoints.of(other.id).at(-1)!.step < 12, "it was paused before its end");
      assertMatch(store.jobs.get(other.id)!.reason!, /^the data folder may take 0 B more/);
    }, { quota: 800_000 }),
  sanitizeOps: false,
  sanitizeResources: false,
});

Deno.test({
  name: "what is said of a status ends with it: why a job is paused, when it will have finished",
  fn: () =>
    withQueue(async (bench) => {
      const { queue, store } = bench;
      const { id } = queue.create(bench.job());
      assertMatch((await bench.until(id, "paused")).reason!, /the job needs/);
      assertEquals(queue.cancel(id).reason, undefined);
      // A server that is killed while a job runs leaves it like this.
      const other = queue.create(bench.job());
      await bench.until(other.id, "paused");
      store.jobs.update(other.id, { status: "running", reason: null, estimatedFinish: 1 });
      queue.start();
      assertEquals(store.jobs.get(other.id)!.estimatedFinish, undefined);
      await bench.until(other.id, "paused");
    }, { quota: 1000 }),
  sanitizeOps: false,
  sanitizeResources: false,
});

queueTest(
  "a failed job whose file was deleted meanwhile is not resumed to fail again",
  async (bench) => {
    const { queue, store } = bench, job = bench.job();
    const { id } = queue.create({ ...job, options: { ...job.options, optimizer: "unknown" } });
    const { error } = await bench.until(id, "failed");
    store.files.delete(job.trainingFiles[0]);
    assertThrows(() => queue.resume(id), ApiError, `file ${job.trainingFiles[0]} no longer exists`);
    assertEquals([store.jobs.get(id)!.status, store.jobs.get(id)!.error], ["failed", error]);
  },
);

queueTest("what comes too late is refused with the job's status", (bench) => {
  const { queue } = bench;
  const { id } = queue.create(bench.job({ steps: 2 }));
  assertThrows(
    () => queue.resume(id),
    ApiError,
    `Job ${id} cannot be resumed: its status is validating_files`,
  );
  queue.cancel(id);
  for (const action of ["cancel", "pause", "resume"] as const) {
    assertThrows(() => queue[action](id), ApiError, "its status is cancelled");
  }
  assertThrows(() => queue.cancel("ftjob-x"), ApiError, "No such job: ftjob-x");
});

Deno.test({
  name: "a server that stops leaves the job for the next, which goes on where it was",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const root = await Deno.makeTempDir();
    try {
      let id = "", before = 0;
      await withQueue(async (bench) => {
        id = bench.queue.create(bench.job()).id;
        await bench.untilStep(id, 3);
        await bench.queue.stop();
        before = bench.store.events.lastStep(id);
        assertEquals(bench.store.jobs.get(id)!.status, "running");
      }, { root });
      assert(before < 12, "it was stopped before its end");
      await withQueue(async (bench) => {
        bench.queue.start();
        await bench.until(id, "succeeded");
        assertEquals(steps(bench, id), upTo(12));
        const word =
          `The server had stopped; the job continues from the checkpoint of step ${before}`;
        assert(bench.told(id).includes(word), bench.told(id).join("\n"));
      }, { root });
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  },
});

/** Jobs whose surroundings fail: a disk, a folder, a process. They wait, with the reason. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { DatabaseSync } from "node:sqlite";
import { DiskError } from "../../../src/files/disk_error.ts";
import { EventStreams } from "../../../src/server/events/event_stream.ts";
import { ApiError, notFound } from "../../../src/server/api_error.ts";
import { startTraining } from "../../../src/server/jobs/training_process.ts";
import type { ModelRecord } from "../../../src/server/services.ts";
import { played } from "./stand_in_process.ts";
import { type Bench, withQueue } from "./support.ts";
import { until } from "../until.ts";

type Setup = NonNullable<Parameters<typeof withQueue>[1]>;

function hindranceTest(name: string, setup: Setup, use: (bench: Bench) => Promise<void>): void {
  Deno.test({
    name,
    fn: () => withQueue(use, setup),
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

/** A disk that takes nothing for the database, or takes it again. */
function writable({ database }: Bench, is: boolean): void {
  database.sqlite.exec(`PRAGMA query_only = ${is ? "OFF" : "ON"}`);
}

/** What another process would read. */
function onDisk({ storage }: Bench, id: string): Record<string, unknown> {
  using db = new DatabaseSync(storage.database, { readOnly: true });
  return db.prepare("SELECT * FROM jobs WHERE id = ?").get(id)!;
}

const steps = ({ store }: Bench, id: string) => store.events.metrics(id).map(({ step }) => step);
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

{
  let atStep = (_: number) => {};
  const setup = { startTraining: played(() => ({ before: (step) => atStep(step) })) };
  hindranceTest(
    "a disk that takes no write: all jobs pause for readers at once, and on the disk later",
    setup,
    async (bench) => {
      const { queue, store } = bench;
      const [a, b] = [queue.create(bench.job()).id, queue.create(bench.job()).id];
      await bench.until(b, "queued");
      atStep = (step) => step === 6 && writable(bench, false);
      const { reason, reasonCode, estimatedFinish } = await bench.until(a, "paused");
      assertEquals(reasonCode, "disk_error");
      assertMatch(reason!, /server\.db cannot be written: .*readonly.*then resume the job$/);
      assertEquals(estimatedFinish, undefined);
      assertMatch((await bench.until(b, "paused")).reason!, /cannot be written/);
      assertEquals([onDisk(bench, a).status, onDisk(bench, b).status], ["running", "queued"]);
      // Every reader agrees.
      assertEquals(store.jobs.status(a), "paused");
      assertEquals(store.jobs.withStatus("running", "queued"), []);
      assertEquals(store.jobs.next(), undefined);
      assertEquals(store.jobs.withStatus("paused").map(({ id }) => id), [a, b]);
      const { running, queued, paused } = store.jobs.counts().pretraining;
      assertEquals({ running, queued, paused }, { running: 0, queued: 0, paused: 2 });
      const { data } = store.jobs.list({ kind: "pretraining", limit: 9 });
      assertEquals(data.map(({ status }) => status), ["paused", "paused"]);
      // What cannot be kept is refused, and what ends work is not.
      assertThrows(() => queue.resume(a), DiskError, "cannot be written");
      assertThrows(() => queue.create(bench.job()), DiskError, "cannot be written");
      assertEquals(store.jobs.list({ kind: "pretraining", limit: 9 }).data.length, 2);
      assertEquals(queue.cancel(b).status, "cancelled");

      atStep = () => {};
      writable(bench, true);
      await until("it is on the disk", () => onDisk(bench, a).status === "paused");
      assertEquals([onDisk(bench, a).reason, onDisk(bench, b).status], [reason, "cancelled"]);
      assertEquals(bench.told(a).at(-1), `Pre-training job paused: ${reason}`);
      queue.resume(a);
      assertEquals((await bench.until(a, "succeeded")).reason, undefined);
      // Steps that the database could not take were in the run's journal.
      assertEquals(steps(bench, a), upTo(8));
    },
  );
}

hindranceTest(
  "a result that cannot be recorded pauses the job, leaves no file, and is made when resumed",
  { startTraining: played(() => ({})) },
  async (bench) => {
    const { queue, store, storage } = bench;
    const sqlite = bench.database.sqlite;
    // Names the table as SQLite's own errors of the disk cannot be made to.
    sqlite.exec("CREATE TEMP TRIGGER no BEFORE INSERT ON files BEGIN SELECT fail(); END");
    sqlite.function("fail", () => {
      throw Object.assign(new Error("No space left on device"), { code: "ENOSPC" });
    });
    const { id } = queue.create(bench.job());
    assertMatch((await bench.until(id, "paused")).reason!, /No space left on device: delete/);
    const names = [...Deno.readDirSync(storage.filesFolder)].map(({ name }) => name);
    assertEquals(names.length, 1, "the training file alone");
    sqlite.exec("DROP TRIGGER no");
    queue.resume(id);
    const { resultFiles } = await bench.until(id, "succeeded");
    assertEquals(store.files.get(resultFiles[0])?.lines, 9);
  },
);

for (const code of ["disk_full", "disk_error"] as const) {
  const failure = { type: "failure", code, message: "cannot write /x: no" } as const;
  hindranceTest(
    `a process that ends with ${code} pauses its job`,
    { startTraining: played((attempt) => attempt === 1 ? { failure } : {}) },
    async (bench) => {
      const { id } = bench.queue.create(bench.job());
      const { reason, reasonCode, error } = await bench.until(id, "paused");
      assertEquals(reasonCode, code);
      assertMatch(reason!, /^cannot write \/x: no: .*then resume the job$/);
      assertEquals(error, undefined);
      bench.queue.resume(id);
      await bench.until(id, "succeeded");
    },
  );
}

{
  const present = new Map<string, string>();
  const get = (name: string) => {
    const path = present.get(name);
    if (!path) return Promise.reject(notFound("model", name));
    return Promise.resolve({ name, path, createdAt: 0, kind: "base" } as ModelRecord);
  };
  const setup = { models: { get }, startTraining: played(() => ({})) };
  hindranceTest(
    "a models folder that is away pauses the jobs that need it, and no others",
    setup,
    async (bench) => {
      const { queue, folder } = bench, modelsFolder = join(folder, "models");
      const tuning = { ...bench.job(), kind: "fine_tuning" as const, model: "llama" };
      const [a, b, c] = [tuning, tuning, bench.job()].map((job) => queue.create(job).id);
      await bench.until(c, "succeeded");
      const away =
        `The model 'llama' is away: there is no models folder ${modelsFolder}: mount or ` +
        "restore it, then resume the job";
      const { reason, reasonCode } = await bench.until(a, "paused");
      assertEquals([reason, reasonCode], [away, "unavailable"]);
      assertEquals((await bench.until(b, "paused")).reason, away);

      await Deno.mkdir(modelsFolder);
      queue.resume(a);
      await until(
        "the reason is known",
        () => bench.store.jobs.get(a)!.reason?.includes("is empty") === true,
      );
      await Deno.writeTextFile(join(modelsFolder, "other"), "");
      queue.resume(a);
      await until(
        "the reason is known",
        () => bench.store.jobs.get(a)!.reason?.includes("is not in the models") === true,
      );

      present.set("llama", join(modelsFolder, "llama"));
      for (const id of [a, b]) queue.resume(id);
      await bench.until(a, "succeeded");
      await bench.until(b, "succeeded");
    },
  );

  const failure = { type: "failure", code: "invalid_run", message: "llama: no such file" } as const;
  const taken = played((attempt) => {
    if (attempt === 1) present.delete("llama");
    return attempt === 1 ? { failure } : {};
  });
  hindranceTest(
    "a model that goes away while it is read pauses the job, whatever the process made of that",
    { models: { get }, startTraining: taken },
    async (bench) => {
      present.set("llama", join(bench.folder, "models/llama"));
      const { id } = bench.queue.create({ ...bench.job(), kind: "fine_tuning", model: "llama" });
      assertMatch((await bench.until(id, "paused")).reason!, /^The model 'llama' is away/);
    },
  );
}

{
  let onStart = () => {};
  hindranceTest("a cancellation holds, whatever keeps the job from running meanwhile", {
    startTraining: played(() => ({})),
    hooks: { onStart: () => Promise.resolve(onStart()) },
  }, async ({ queue, ...bench }) => {
    const job = bench.job(), plan = { ...job.plan, diskBytes: 2 ** 60 };
    const { id } = queue.create({ ...job, plan });
    onStart = () => void queue.cancel(id);
    const { status, reason } = await bench.until(id, "cancelled", "paused");
    assertEquals([status, reason], ["cancelled", undefined]);
  });
}

hindranceTest("a cancellation holds also where the disk does not take the result", {
  startTraining: played(() => ({})),
}, async (bench) => {
  const { queue, storage } = bench, filePath = storage.filePath.bind(storage);
  const { id } = queue.create(bench.job());
  storage.filePath = (file) => {
    if (file.filename.startsWith("step_metrics")) {
      writable(bench, false);
      queue.cancel(id);
    }
    return filePath(file);
  };
  const { status, reason } = await bench.until(id, "cancelled", "paused");
  assertEquals([status, reason], ["cancelled", undefined]);
});

hindranceTest("a file whose bytes are away pauses the job", {
  startTraining: played(() => ({})),
}, async (bench) => {
  const { queue, store, storage } = bench, job = bench.job();
  const path = storage.filePath(store.files.get(job.trainingFiles[0])!);
  await Deno.rename(path, `${path}.away`);
  const { id } = queue.create(job);
  const { reason } = await bench.until(id, "paused");
  assertMatch(
    reason!,
    /^The file file-\w+ cannot be read in the data folder \(it is not there\): /,
  );
  await Deno.rename(`${path}.away`, path);
  queue.resume(id);
  await bench.until(id, "succeeded");
});

hindranceTest("a file that is there but cannot be opened pauses the job", {
  startTraining: played(() => ({})),
}, async (bench) => {
  const { queue, store, storage } = bench, job = bench.job();
  const path = storage.filePath(store.files.get(job.trainingFiles[0])!);
  await Deno.remove(path);
  // Not by its permissions: root reads everything.
  using _ = Deno.listen({ transport: "unix", path });
  const { reason } = await bench.until(queue.create(job).id, "paused");
  assertMatch(reason!, /^The file file-\w+ cannot be read in the data folder \(.*os error/);
});

hindranceTest("a process that the system does not start pauses the job", {}, async (bench) => {
  const execPath = Deno.execPath;
  Deno.execPath = () => join(bench.folder, "no-deno");
  try {
    const { id } = bench.queue.create(bench.job());
    const { reason } = await bench.until(id, "paused");
    assertMatch(reason!, /^The system does not start a training process \(/);
    assertThrows(() => startTraining({ kind: "pretraining", options: {}, reads: [] }), ApiError);
  } finally {
    Deno.execPath = execPath;
  }
});

{
  const failure = { type: "failure", code: "invalid_run", message: "the loss is NaN" } as const;
  const startTraining = played((attempt) =>
    attempt === 1
      ? { steps: 6, failure }
      : attempt < 5
      ? { steps: 8, exit: { code: 9 }, before: () => {} }
      : {}
  );
  hindranceTest(
    "a failed job is resumed from its checkpoint, as often as someone likes",
    { startTraining },
    async (bench) => {
      const { queue, store } = bench, { id } = queue.create(bench.job());
      const failed = () => until("it fails", () => store.jobs.status(id) === "failed");
      await failed();
      const streams = new EventStreams({ store, log: bench.log }), content = "events" as const;
      const first = await new Response(streams.open({ jobId: id, content })).text();
      assert(first.endsWith("data: [DONE]\n\n"), "a failure ends a stream");
      const after = store.events.lastSeq(id);
      const { error, finishedAt } = store.jobs.get(id)!;
      assertEquals(error, { code: "invalid_run", message: "the loss is NaN" });
      assert(finishedAt !== undefined);
      const resumed = queue.resume(id);
      assertEquals([resumed.status, resumed.error, resumed.finishedAt], [
        "queued",
        undefined,
        undefined,
      ]);
      const word = "Pre-training job resumed from the checkpoint of step 6";
      assert(bench.told(id).includes(word), bench.told(id).join("\n"));
      // Three crashes fail it again; they do not count against the next attempts.
      await failed();
      assertEquals(store.jobs.get(id)!.error!.code, "process_crashed");
      queue.resume(id);
      // A client that reconnects has the rest, to the next end.
      const rest = await new Response(streams.open({ jobId: id, content, after })).text();
      assertMatch(rest, /job resumed from the checkpoint of step 6.*completed.*\[DONE\]\n\n$/s);
      await streams.close();
      assertEquals(store.jobs.status(id), "succeeded");
      assertEquals(steps(bench, id), upTo(8));
      assertThrows(() => queue.resume(id), ApiError, "its status is succeeded");
    },
  );

  hindranceTest(
    "a job that failed before its first checkpoint runs from its start",
    { startTraining: played((attempt) => attempt === 1 ? { steps: 0, failure } : {}) },
    async (bench) => {
      const { id } = bench.queue.create(bench.job());
      await until("it fails", () => bench.store.jobs.status(id) === "failed");
      bench.queue.resume(id);
      await bench.until(id, "succeeded");
      assert(bench.told(id).includes("Pre-training job resumed from its start"));
    },
  );
}

hindranceTest("what follows a success cannot undo it", {
  startTraining: played(() => ({})),
  hooks: { onSuccess: () => Promise.reject(new Error("no")) },
}, async (bench) => {
  const { id } = bench.queue.create(bench.job());
  await bench.until(id, "succeeded");
  await new Promise((go) => setTimeout(go, 20));
  assertEquals(onDisk(bench, id).status, "succeeded");
});

Deno.test({
  name: "a start on a disk that takes no write shows what ran as paused, and resumes it later",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const root = await Deno.makeTempDir(), startTraining = played(() => ({}));
    try {
      let id = "";
      await withQueue(async (bench) => {
        id = bench.queue.create(bench.job()).id;
        await bench.untilStep(id, 2);
        await bench.queue.stop();
        assertEquals(onDisk(bench, id).status, "running");
      }, { root, startTraining });
      await withQueue(async (bench) => {
        writable(bench, false);
        bench.queue.start();
        await bench.until(id, "paused");
        assertEquals(onDisk(bench, id).status, "running");
        writable(bench, true);
        await until("it is on the disk", () => onDisk(bench, id).status === "paused");
        bench.queue.resume(id);
        await bench.until(id, "succeeded");
      }, { root, startTraining });
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  },
});

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { Retention } from "../../../src/server/jobs/retention.ts";
import type { JobRecord } from "../../../src/server/store/records.ts";
import { file, type FilesServer, job, type Setup, withFilesServer } from "../files/support.ts";
import { until } from "../until.ts";

const DAY = 24 * 3600;

const fileId = (letter: string) => `file-${letter.repeat(24)}`;
const jobId = (letter: string) => `ftjob-${letter.repeat(24)}`;

async function withRetention(
  setup: Setup,
  use: (retention: Retention, server: FilesServer) => Promise<void>,
): Promise<void> {
  await withFilesServer(setup, async (server) => {
    await use(new Retention(server.services, { now: () => 10 * DAY, intervalMs: 5 }), server);
  });
}

async function addFile(
  { services: { store, storage } }: FilesServer,
  letter: string,
  fields: Parameters<typeof file>[1],
): Promise<void> {
  const record = file(fileId(letter), fields);
  await Deno.writeTextFile(storage.filePath(record), "abc");
  store.files.insert(record);
}

/** A job with two checkpoints of `bytes` each, and a result. */
async function addJob(
  { services: { store, storage } }: FilesServer,
  letter: string,
  fields: Partial<JobRecord>,
  bytes = 10,
): Promise<void> {
  const id = jobId(letter);
  store.jobs.insert(job(id, fields));
  for (const step of [1, 2]) {
    const folder = join(storage.jobFolder(id), `checkpoint-${step}`);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeFile(join(folder, "entries.bin"), new Uint8Array(bytes));
    const checkpoint = {
      id: `ftckpt-${letter}${step}`,
      jobId: id,
      step,
      createdAt: 1,
      metrics: {},
    };
    store.checkpoints.insert(checkpoint);
  }
  await Deno.mkdir(join(storage.jobFolder(id), "model"));
}

function left({ services: { store, storage } }: FilesServer, letter: string): string[] {
  const names = [...Deno.readDirSync(storage.jobFolder(jobId(letter)))].map(({ name }) => name);
  const listed = store.checkpoints.of(jobId(letter)).map(({ step }) => `checkpoint-${step}`);
  assertEquals(names.filter((name) => name !== "model").sort(), listed);
  return names.sort();
}

const WHOLE = ["checkpoint-1", "checkpoint-2", "model"];

Deno.test("files go when their time is over and no job needs them", async () => {
  await withRetention({ options: { keepFiles: 5 } }, async (retention, server) => {
    const { store } = server.services;
    await addFile(server, "a", { createdAt: DAY });
    await addFile(server, "b", { createdAt: DAY, purpose: "fine-tune-results" });
    await addFile(server, "c", { createdAt: DAY });
    await addFile(server, "d", { createdAt: 6 * DAY });
    await addFile(server, "e", { createdAt: 9 * DAY, expiresAt: 10 * DAY });
    await addFile(server, "f", { createdAt: 9 * DAY, expiresAt: 10 * DAY + 1 });
    await addFile(server, "g", { createdAt: DAY, expiresAt: 2 * DAY });
    store.jobs.insert(job(jobId("j"), { trainingFiles: [fileId("c")] }));
    await retention.sweepFiles();
    const kept = ["b", "c", "d", "f"].map((letter) => `${fileId(letter)}.jsonl`);
    assertEquals(server.names().sort(), kept);
    assertEquals(store.files.list({ limit: 100, order: "asc" }).data.length, 4);
  });
});

Deno.test("files are kept for ever unless something else was said", async () => {
  await withRetention({}, async (retention, server) => {
    await addFile(server, "a", { createdAt: 1 });
    await retention.sweepFiles();
    assertEquals(server.names().length, 1);
  });
});

Deno.test("a start removes what a crash left: half of a file, or one without a record", async () => {
  await withRetention({}, async (retention, server) => {
    const { filesFolder } = server.services.storage;
    const leave = (name: string) => Deno.writeTextFile(join(filesFolder, name), "x");
    await leave(`${fileId("x")}.jsonl`);
    await leave(`${fileId("y")}.jsonl.part`);
    // An empty database may replace a lost one.
    await retention.sweepLeftovers();
    assertEquals(server.names(), [`${fileId("x")}.jsonl`]);
    await addFile(server, "a", {});
    await retention.sweepLeftovers();
    assertEquals(server.names(), [`${fileId("a")}.jsonl`]);
  });
});

Deno.test("checkpoints of a job that has succeeded go when they are not to be kept", async () => {
  await withRetention(
    { options: { keepFinishedCheckpoints: false } },
    async (retention, server) => {
      await addJob(server, "a", { status: "succeeded" });
      await addJob(server, "b", { status: "failed" });
      await addJob(server, "c", { status: "running" });
      await retention.sweepCheckpoints();
      assertEquals(left(server, "a"), ["model"]);
      assertEquals([left(server, "b"), left(server, "c")], [WHOLE, WHOLE]);
    },
  );
  await withRetention({}, async (retention, server) => {
    await addJob(server, "a", { status: "succeeded" });
    await retention.sweepCheckpoints();
    assertEquals(left(server, "a"), WHOLE);
  });
});

Deno.test("room is made of the checkpoints of the job that ended first", async () => {
  await withRetention({ quota: 500_000 }, async (retention, server) => {
    await addJob(server, "a", { status: "failed", finishedAt: 3 }, 40_000);
    await addJob(server, "b", { status: "cancelled", finishedAt: 2 }, 40_000);
    await addJob(server, "c", { status: "succeeded", finishedAt: 1 }, 40_000);
    await addJob(server, "d", { status: "paused" }, 40_000);
    const states = () => ["a", "b", "c", "d"].map((letter) => left(server, letter).length);
    assertEquals(await retention.makeRoom(100_000), true);
    assertEquals(states(), [3, 3, 3, 3]);
    assertEquals(await retention.makeRoom(200_000), true);
    assertEquals(states(), [3, 3, 1, 3]);
    assertEquals(await retention.makeRoom(300_000), true);
    assertEquals(states(), [3, 1, 1, 3]);
    assertEquals(await retention.makeRoom(490_000), false);
    assertEquals(states(), [1, 1, 1, 3]);
  });
});

Deno.test("a failed job keeps its checkpoints longest; the clock does not decide who ended first", async () => {
  await withRetention({ quota: 500_000 }, async (retention, server) => {
    const { events } = server.services.store;
    await addJob(server, "a", { status: "failed", finishedAt: 1 }, 40_000);
    await addJob(server, "b", { status: "succeeded", finishedAt: 9 }, 40_000);
    await addJob(server, "c", { status: "cancelled", finishedAt: 5 }, 40_000);
    // The clock was set back between the two.
    for (const letter of ["a", "b", "c"]) {
      events.append(jobId(letter), { level: "info", type: "message", message: "", data: {} }, 1);
    }
    const states = () => ["a", "b", "c"].map((letter) => left(server, letter).length);
    await retention.makeRoom(300_000);
    assertEquals(states(), [3, 1, 3]);
    await retention.makeRoom(400_000);
    assertEquals(states(), [3, 1, 1]);
    await retention.makeRoom(450_000);
    assertEquals(states(), [1, 1, 1]);
  });
});

Deno.test("files go by their age, not by what is beside them", async () => {
  await withRetention({ options: { keepFiles: 5 } }, async (retention, server) => {
    await addFile(server, "a", { createdAt: 9 * DAY });
    await addFile(server, "b", { createdAt: DAY });
    await retention.sweepFiles();
    assertEquals(server.names(), [`${fileId("a")}.jsonl`]);
  });
});

Deno.test("it looks again and again until it is stopped, and tells what it cannot remove", async () => {
  await withFilesServer({}, async (server) => {
    const faults: string[] = [];
    const settings = { intervalMs: 2, onFault: (line: string) => void faults.push(line) };
    const retention = new Retention(server.services, settings);
    await retention.start();
    await addFile(server, "a", { expiresAt: 1 });
    await until("the file is gone", () => server.names().length === 0);
    // A folder in a file's place.
    const blocked = file(fileId("b"), { expiresAt: 1 });
    await Deno.mkdir(join(server.services.storage.filePath(blocked), "x"), { recursive: true });
    server.services.store.files.insert(blocked);
    await until("a fault is reported", () => faults.length > 0);
    await addFile(server, "c", { expiresAt: 1 });
    await until("one file is gone", () => server.names().length === 1);
    await retention.stop();
    await addFile(server, "d", { expiresAt: 1 });
    await new Promise((go) => setTimeout(go, 20));
    assertEquals(server.names().length, 2);
  });
});

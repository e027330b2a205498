/** Jobs in the hands of workers elsewhere, as the server sees them: a played worker, and no database. */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { join } from "@std/path";
import { ApiError } from "../../../src/server/api_error.ts";
import { DiskFullError } from "../../../src/files/disk_error.ts";
import { poolRoutes } from "../../../src/server/http/routes/pool.ts";
import type { QueueParts } from "../../../src/server/jobs/queue_parts.ts";
import type { Retention } from "../../../src/server/jobs/retention.ts";
import { withoutPassword } from "../../../src/server/pool/offers.ts";
import { Pool } from "../../../src/server/pool/pool.ts";
import { type Claimed, reprDigest } from "../../../src/server/pool/protocol.ts";
import type { Services } from "../../../src/server/services.ts";
import type { WorkerEvent } from "../../../src/server/worker/protocol.ts";
import { VERSION } from "../../../src/product.ts";
import { until } from "../until.ts";
import { type Bench, withQueue } from "../jobs/support.ts";

/** What a pool has offered, in place of a database. */
class Offered {
  readonly jobs: string[] = [];
  readonly removed: string[] = [];
  make(jobs: readonly { readonly id: string }[]) {
    for (const { id } of jobs) if (!this.jobs.includes(id)) this.jobs.push(id);
    return Promise.resolve();
  }
  remove({ id }: { readonly id: string }) {
    this.removed.push(id);
    return Promise.resolve();
  }
  close() {
    return Promise.resolve();
  }
}

interface Table extends Bench {
  readonly pool: Pool;
  readonly offered: Offered;
  claim(job: string, worker?: string): Promise<Claimed>;
  /** As the server begins to stop. */
  stop(): Promise<void>;
  /** Sets the clock of who was heard from on. */
  pass(ms: number): void;
}

/** After which all workers that are there must have been heard from. */
const MINUTE = 60_000;

/** A server without workers of its own. */
function withPool(
  use: (table: Table) => Promise<void>,
  { root, lease = 60, quota, models }: {
    readonly root?: string;
    readonly lease?: number;
    readonly quota?: number;
    readonly models?: QueueParts["models"];
  } = {},
): Promise<void> {
  const held: { pool?: Pool } = {};
  return withQueue(async (bench) => {
    const offered = new Offered();
    let passed = 0;
    const now = () => performance.now() + passed;
    const parts = { ...bench.queue.parts, offers: offered, jobs: bench.queue, now };
    const pool = held.pool = new Pool({ ...parts, options: { ...parts.options, lease } });
    const claim = (job: string, worker = "far") =>
      pool.claim({ ...machine(worker), job, offer: `offer-${job}` });
    const stop = () => {
      pool.stop();
      return bench.queue.stop();
    };
    try {
      await use({ ...bench, pool, offered, claim, stop, pass: (ms) => void (passed += ms) });
    } finally {
      await stop();
      await pool.close();
    }
  }, { root, workers: 0, quota, models, attach: (job) => held.pool?.attach(job) });
}

/** One with a worker of that name. */
const machine = (worker: string, id = `machine of ${worker}`) => (
  { version: VERSION, machine: id, workers: [{ worker, card: "a card" }] }
);

const event = (value: unknown) => value as WorkerEvent;
const PLAN = event({ type: "plan", steps: 8, trained_parameters: 1, planned_peak_bytes: 1 });
const step = (step: number) =>
  event({ type: "step", step, loss: 1 / step, step_ms: 1, tokens: step });
const DONE = event({ type: "done", interrupted: false, summary: { tokens: 100 } });
const ENDED = { code: 0, signal: null, log: "" };

async function queued({ queue, ...bench }: Table): Promise<string> {
  const { id } = queue.create(bench.job());
  await bench.until(id, "queued");
  return id;
}

function travels(path: string, text: string) {
  const bytes = new TextEncoder().encode(text);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { file: { path, bytes: bytes.length, sha256 }, body: () => new Blob([bytes]).stream() };
}

async function send({ pool }: Pick<Table, "pool">, lease: string, path: string, text: string) {
  const { file, body } = travels(path, text);
  await pool.receive(lease, file, body());
  return file;
}

async function assertRefused(call: Promise<unknown>, code: string): Promise<void> {
  const { details } = await assertRejects(() => call, ApiError);
  assertEquals(details.code, code);
}

const assertLost = (call: Promise<unknown>) => assertRefused(call, "lease_lost");

const namesIn = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("a job elsewhere: offered, claimed once, told of, and ended", () =>
  withPool(async (table) => {
    const { pool, offered, claim, store, storage } = table, id = await queued(table);
    await until("it is offered", () => offered.jobs.includes(id));
    const { lease, task, paths, files } = await claim(id);
    assertEquals(paths.output, "run");
    assertEquals(task.options.output, undefined);
    // Its text and the configuration of its model travel, by their contents.
    assertEquals(files.map(({ path }) => path.replace(/\/file-.*/, "/…")), [
      "inputs/0/…",
      "run/config/config.json",
    ]);
    const [text] = files, source = pool.input(lease, text.sha256);
    const hash = createHash("sha256").update(await Deno.readFile(source)).digest("hex");
    assertEquals(hash, text.sha256);
    const second = await assertRejects(() => claim(id, "other"), ApiError);
    assertEquals(second.details.code, "job_not_waiting");
    assertEquals(store.jobs.get(id)?.runsOn?.worker, "far");
    assertEquals(pool.workers().map(({ worker }) => worker), ["far", "other"]);

    assertEquals(await pool.report(lease, { events: [PLAN, step(1), step(2)] }), { stop: false });
    // A report that is sent twice, as after an answer that was lost, counts once.
    await pool.report(lease, { events: [step(2), step(3)] });
    assertEquals(store.events.metrics(id).map(({ step }) => step), [1, 2, 3]);
    const result = await send(table, lease, "model/model.safetensors", "weights");
    await pool.commit(lease, { files: [result], keep: [] });
    await pool.report(lease, { events: [DONE], end: ENDED });
    // What was answered is stored, and is answered again if the answer was lost.
    assertEquals(store.jobs.status(id), "succeeded");
    await pool.report(lease, { events: [DONE], end: ENDED });
    assertEquals(
      await Deno.readTextFile(join(storage.jobFolder(id), "model/model.safetensors")),
      "weights",
    );
    await until("its offer is gone", () => offered.removed.includes(`offer-${id}`));
    await assertLost(pool.report(lease, { events: [] }));
  }));

Deno.test("a worker that falls silent loses its job to another, and is refused from then on", () =>
  withPool(async (table) => {
    const { pool, claim, store } = table, id = await queued(table);
    const { lease } = await claim(id);
    await pool.report(lease, { events: [PLAN, step(1)] });
    await table.until(id, "queued");
    assert(
      table.told(id).some((text) => text.startsWith("Worker far was not heard from for 1 s;")),
    );
    const next = await claim(id, "near");
    await assertLost(pool.report(lease, { events: [step(2), DONE], end: ENDED }));
    await assertLost(send(table, lease, "model/model.safetensors", "late"));
    await assertLost(pool.commit(lease, { files: [], keep: [] }));
    await pool.report(next.lease, { events: [step(2), DONE], end: ENDED });
    await table.until(id, "succeeded");
    assertEquals(store.events.metrics(id).map(({ step }) => step), [1, 2]);
  }, { lease: 1 }));

Deno.test("a pause, a cancellation and a stop of the worker reach a job elsewhere", () =>
  withPool(async (table) => {
    const { pool, claim, queue, store } = table;
    const [paused, cancelled, left] = [
      await queued(table),
      await queued(table),
      await queued(table),
    ];
    const leases = [];
    for (const id of [paused, cancelled, left]) leases.push((await claim(id)).lease);
    for (const lease of leases) await pool.report(lease, { events: [PLAN, step(1)] });
    queue.pause(paused);
    assertEquals(await pool.report(leases[0], { events: [] }), { stop: true });
    await pool.report(leases[0], { events: [], end: ENDED });
    await table.until(paused, "paused");
    queue.cancel(cancelled);
    await table.until(cancelled, "cancelled");
    await assertLost(pool.report(leases[1], { events: [] }));
    await pool.report(leases[2], { events: [], end: { ...ENDED, left: "was stopped" } });
    await table.until(left, "queued");
    assertEquals(store.jobs.get(left)?.runsOn, undefined);
  }));

Deno.test("a job that is given back again and again fails, unless its workers are only stopped", () =>
  withPool(async (table) => {
    const { pool, claim, store } = table, id = await queued(table);
    const giveBack = async (left: string) => {
      const { lease } = await claim(id);
      await pool.report(lease, { events: [PLAN], end: { ...ENDED, code: 1, left } });
      return store.jobs.status(id);
    };
    const faulty = "could not go on: no such file";
    for (const left of [faulty, faulty, "was stopped", "was stopped"]) {
      assertEquals(await giveBack(left), "queued");
    }
    // A checkpoint is progress.
    const { lease } = await claim(id);
    const saved = await send(table, lease, "checkpoint-4/manifest.json", "4");
    await pool.commit(lease, { files: [saved], keep: [4] });
    const checkpoint = event({ type: "checkpoint", step: 4, path: "" });
    const end = { ...ENDED, code: 1, left: faulty };
    await pool.report(lease, { events: [PLAN, checkpoint], end });
    assertEquals(store.jobs.status(id), "queued");
    assertEquals(await giveBack(faulty), "queued");
    assertEquals(await giveBack(faulty), "failed");
    assertEquals(store.jobs.get(id)?.error, {
      code: "worker_lost",
      message: `Worker far ${faulty}, 3 times without getting past step 4`,
    });
  }));

Deno.test("a server that stops in the middle of calls tells workers to ask the next one", async () => {
  const root = await Deno.makeTempDir();
  try {
    let id = "", lease = "";
    await withPool(async (table) => {
      const { pool, offered, stop } = table;
      id = await queued(table);
      lease = (await table.claim(id)).lease;
      await pool.report(lease, { events: [PLAN, step(1)] });
      const slow = new TransformStream<Uint8Array, Uint8Array>(),
        writer = slow.writable.getWriter();
      const { file } = travels("checkpoint-4/manifest.json", "four");
      const upload = pool.receive(lease, file, slow.readable);
      await writer.write(new TextEncoder().encode("fo"));
      await stop();
      writer.write(new TextEncoder().encode("ur")).catch(() => {}); // nobody reads it any more
      await assertRefused(upload, "server_stopping");
      await assertRefused(pool.report(lease, { events: [step(2)] }), "server_stopping");
      await assertRefused(pool.commit(lease, { files: [], keep: [] }), "server_stopping");
      await assertRefused(table.claim(id), "server_stopping");
      assertEquals(offered.removed, []);
      const left = await Array.fromAsync(Deno.readDir(table.storage.jobFolder(id)));
      assert(left.some(({ name }) => name.startsWith(".incoming-")));
    }, { root });
    await withPool(async (table) => {
      const { pool, queue, store, storage } = table;
      await (queue.parts.room as Retention).sweepLeftovers();
      assertEquals(namesIn(storage.jobFolder(id)), ["config", "lock"]);
      queue.start();
      await pool.report(lease, { events: [step(2), DONE], end: ENDED });
      assertEquals(store.jobs.status(id), "succeeded");
    }, { root });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("a server that restarts finds the worker at its job", async () => {
  const root = await Deno.makeTempDir();
  try {
    let id = "", lease = "";
    await withPool(async (table) => {
      id = await queued(table);
      lease = (await table.claim(id)).lease;
      await table.pool.report(lease, { events: [PLAN, step(1)] });
    }, { root });
    await withPool(async (table) => {
      const { pool, queue, store } = table;
      queue.start();
      assertEquals(store.jobs.status(id), "running");
      // What was under way may have come or not: the worker sends it again.
      const refused = await assertRejects(
        () => pool.commit(lease, { files: [travels("summary.json", "{}").file], keep: [] }),
        ApiError,
      );
      assertEquals(refused.details.code, "files_missing");
      await pool.report(lease, { events: [step(1), step(2)] });
      assertEquals(table.told(id).filter((text) => text.startsWith("Step")), [
        "Step 1/8: training loss=1.0000",
        "Step 2/8: training loss=0.5000",
      ]);
      await pool.report(lease, { events: [DONE], end: ENDED });
      await table.until(id, "succeeded");
    }, { root });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("what a worker sends takes its place at once, and older checkpoints go", () =>
  withPool(async (table) => {
    const { pool, claim, storage } = table, id = await queued(table), { lease } = await claim(id);
    const folder = storage.jobFolder(id);
    await pool.report(lease, { events: [PLAN] });
    for (const [at, keep] of [[4, [4]], [8, [4, 8]], [12, [8, 12]]] as const) {
      const name = `checkpoint-${at}/manifest.json`;
      const files = [
        await send(table, lease, name, `${at}`),
        await send(table, lease, "metrics.jsonl", `${at}`),
      ];
      const before = await Deno.stat(join(folder, name)).catch(() => undefined);
      assertEquals(before, undefined);
      await pool.commit(lease, { files, keep: [...keep] });
      await pool.report(lease, { events: [event({ type: "checkpoint", step: at, path: "" })] });
    }
    assertEquals(table.store.checkpoints.of(id).map(({ step }) => step), [8, 12]);
    const names = ["checkpoint-12", "checkpoint-8", "config", "lock", "metrics.jsonl"];
    assertEquals(namesIn(folder), names);
    // One that is saved again replaces itself; nothing that is not listed comes with it.
    const again = await send(table, lease, "checkpoint-12/manifest.json", "again");
    await send(table, lease, "checkpoint-12/another", "unlisted");
    const commit = { files: [again], keep: [12] };
    await Promise.all([pool.commit(lease, commit), pool.commit(lease, commit)]);
    await pool.commit(lease, commit); // its answer was lost
    assertEquals(await Deno.readTextFile(join(folder, "checkpoint-12/manifest.json")), "again");
    assertEquals(namesIn(join(folder, "checkpoint-12")), ["manifest.json"]);
    await assertRefused(pool.commit(lease, { ...commit, keep: [] }), "files_missing");
    // What has come and will never take its place goes with the lease.
    await send(table, lease, "checkpoint-16/manifest.json", "16");
    table.queue.cancel(id);
    await table.until(id, "cancelled");
    await until(
      "it is gone",
      () => namesIn(folder).join() === "checkpoint-12,config,lock,metrics.jsonl",
    );
  }));

Deno.test("a file comes with its size and its hash, and within the quota", () =>
  withPool(async (table) => {
    const { pool, claim, storage } = table, id = await queued(table), { lease } = await claim(id);
    const app = poolRoutes({ pool } as unknown as Services);
    app.onError((error) => {
      if (error instanceof ApiError) return error.toResponse();
      throw error;
    });
    const put = async (path: string, text: string, given: Record<string, string> = {}) => {
      const { file, body } = travels(path, text);
      const headers = {
        "x-file-size": String(file.bytes),
        "repr-digest": reprDigest(file.sha256),
        ...given,
      };
      const url = `http://server/v1/workers/leases/${lease}/files/${path}`;
      const response = await app.request(url, { method: "PUT", headers, body: body() });
      return [response.status, (await response.json()).error?.param];
    };
    assertEquals(await put("metrics.jsonl", "{}"), [200, undefined]);
    for (const size of ["", "-1", "1e3", "many"]) {
      assertEquals(await put("metrics.jsonl", "{}", { "x-file-size": size }), [400, "x-file-size"]);
    }
    assertEquals(await put("metrics.jsonl", "{}", { "x-file-size": "1" }), [400, null]);
    assertEquals(await put("metrics.jsonl", "{}", { "x-file-size": "3" }), [400, null]);
    assertEquals(await put("metrics.jsonl", "{}", { "repr-digest": "none" }), [400, "repr-digest"]);
    assertEquals(await put("model/%zz", "{}"), [400, "path"]);
    for (const path of ["events.jsonl", "lock", "config/config.json", "model", ".incoming/x"]) {
      assertEquals(await put(path, "{}"), [400, "path"], path);
    }
    const free = String(await storage.free() + 1);
    await assertRejects(
      () => put("model/model.safetensors", "", { "x-file-size": free }),
      DiskFullError,
    );
    const { reasonCode } = await table.until(id, "paused");
    assertEquals(reasonCode, "disk_full");
  }, { quota: 64 * 2 ** 20 }));

Deno.test("a damaged file, a place outside, another version and a name of the server's are refused", () =>
  withPool(async (table) => {
    const { pool, claim } = table, id = await queued(table), { lease } = await claim(id);
    const { file } = travels("model/model.safetensors", "weights");
    const damaged = await assertRejects(
      () => pool.receive(lease, file, new Blob(["Weights"]).stream()),
      ApiError,
    );
    assertEquals(damaged.details.code, "incomplete_body");
    assertMatch(damaged.message, /^model.safetensors came with 7 bytes, but not with the SHA-256 /);
    for (const place of ["../server.db", "a/../../b", "/etc/passwd", "a//b", "a\\b", ""]) {
      const refused = await assertRejects(() => send(table, lease, place, "x"), ApiError);
      assertEquals(refused.status, 400, place);
    }
    assertThrows(
      () => pool.hello({ ...machine("old"), version: "0.0.1", ranks: 1 }),
      ApiError,
      `worker old is of version 0.0.1, the server of ${VERSION}: use the same`,
    );
    assertThrows(
      () => pool.hello({ ...machine("server-1"), ranks: 1 }),
      ApiError,
      "server-1 is the name of a worker of the server's own: choose another name",
    );
  }));

Deno.test("two machines of one name: the second is refused, and the first may come back", () =>
  withPool(async (table) => {
    const { pool, claim } = table, id = await queued(table);
    const hello = (whose: string) => pool.hello({ ...machine("far", whose), ranks: 2 });
    const theirs = "machine of far";
    assertEquals(hello(theirs), { next: 1 });
    await claim(id);
    assertEquals(hello(theirs), { next: null });
    assertThrows(
      () => hello("another"),
      ApiError,
      "far is the name of a worker of another machine, which was heard from 0 s ago: choose another name",
    );
    assertEquals(pool.workers(), [{ worker: "far", card: "a card" }]);
  }));

Deno.test("a job of two processes is given to two workers of a machine, and to no fewer", () =>
  withPool(async (table) => {
    const { pool, queue, store, offered } = table, job = table.job();
    const { id } = queue.create({ ...job, plan: { ...job.plan, ranks: 2 } });
    await until("it is offered", () => offered.jobs.includes(id));
    assertEquals(pool.hello({ ...machine("far"), ranks: 1 }), { next: null });
    await assertRefused(table.claim(id, "far"), "other_size");
    const workers = ["far-1", "far-2"].map((worker) => ({ worker, card: "a card" }));
    const claimed = await pool.claim({ ...machine("far-1"), workers, job: id, offer: "an offer" });
    assertEquals(claimed.task.ranks, 2);
    const [{ worker, card }, second] = workers;
    assertEquals(store.jobs.get(id)?.runsOn, {
      ...{ worker, card, others: [second] },
      ...{ lease: claimed.lease, offer: "an offer" },
    });
    await pool.report(claimed.lease, { events: [DONE], end: ENDED });
    assertEquals(offered.removed, ["an offer"]);
    assertEquals(pool.workers().map(({ worker }) => worker), ["far", "far-1", "far-2"]);
  }));

Deno.test("a machine hears of the first job that it can run, past those that are too large for it", () =>
  withPool(async (table) => {
    const { queue, pool } = table;
    const ids = [4, 2, 1].map((ranks) => {
      const job = table.job();
      return queue.create({ ...job, plan: { ...job.plan, ranks } }).id;
    });
    await table.until(ids[2], "queued");
    const next = [1, 2, 3, 4].map((ranks) => pool.hello({ ...machine("far"), ranks }).next);
    assertEquals(next, [1, 2, 2, 4]);
  }));

Deno.test("of a job that nobody can run is told, once all workers must have been heard from", () =>
  withPool(async (table) => {
    const { queue, pool, pass, told } = table, hello = { ...machine("far"), ranks: 2 };
    const ids = [4, 2].map((ranks) => {
      const job = table.job();
      return queue.create({ ...job, plan: { ...job.plan, ranks } }).id;
    });
    await table.until(ids[1], "queued");
    pool.hello(hello);
    const before = ids.map((id) => told(id).length);
    pool.look();
    assertEquals(ids.map((id) => told(id).length), before);
    pass(MINUTE);
    pool.hello(hello);
    pool.look();
    pool.look();
    assertEquals(ids.map((id, index) => told(id).slice(before[index])), [[
      "Nobody can run the job: no machine can start more than 2 processes of a job. " +
      "It waits for a machine with 4 workers and an MPI launcher",
    ], []]);
    pass(MINUTE + 1);
    pool.look();
    assertEquals(
      told(ids[1]).at(-1),
      "Nobody can run the job: no worker has been heard from for a minute. " +
        "It waits for a machine with 2 workers and an MPI launcher",
    );
  }));

Deno.test("a job that needed the server is offered again once it is resumed, and looked at anew", async () => {
  const path = await Deno.makeTempDir(), own = { reads: ["/weights/elsewhere"] };
  const models: QueueParts["models"] = {
    get: (name) => Promise.resolve({ name, createdAt: 0, kind: "base", path, ...own }),
  };
  await withPool(async (table) => {
    const { pool, queue, claim } = table;
    const job = table.job(), { id } = queue.create({ ...job, options: { from: "an adapter" } });
    await table.until(id, "queued");
    const next = () => pool.hello({ ...machine("far"), ranks: 1 }).next;
    await assertLost(claim(id));
    const { reason } = await table.until(id, "paused");
    assertMatch(reason!, /elsewhere, which only the server's own workers can/);
    // Someone has put a whole model there.
    own.reads = [];
    assertEquals([queue.resume(id).status, next()], ["queued", 1]);
    const { lease } = await claim(id);
    await pool.report(lease, { events: [DONE], end: ENDED });
    await table.until(id, "succeeded");
  }, { models });
  await Deno.remove(path, { recursive: true });
});

Deno.test("an address in a log has no password", () => {
  const shown = {
    "postgres://me:secret@host/db": "postgres://me:…@host/db",
    "postgres://host/db?password=secret&sslmode=require":
      "postgres://host/db?password=…&sslmode=require",
    "postgres://me:%zz@host/d%zz": "postgres://me:…@host/d%zz",
    "no address": "no address",
  };
  for (const [address, expected] of Object.entries(shown)) {
    assertEquals(withoutPassword(address), expected);
  }
});

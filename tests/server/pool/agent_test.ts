/** A worker in this process, with its server's pool over HTTP: no GPU, no database. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { UserError } from "../../../src/options/user_error.ts";
import { runAgent } from "../../../src/server/agent/agent.ts";
import { describeMachine } from "../../../src/server/agent/machine.ts";
import { workerOptions } from "../../../src/server/agent/options.ts";
import { ApiError } from "../../../src/server/api_error.ts";
import { parseCards } from "../../../src/host/cards.ts";
import { poolRoutes } from "../../../src/server/http/routes/pool.ts";
import type { Task } from "../../../src/server/jobs/run_options.ts";
import { ownPlaces } from "../../../src/server/jobs/slots.ts";
import { dealt, type DealtCard } from "../../../src/server/processes/probe.ts";
import type { StartTraining } from "../../../src/server/jobs/training_process.ts";
import { Pool } from "../../../src/server/pool/pool.ts";
import { ServerLog } from "../../../src/server/server_log.ts";
import type { Services } from "../../../src/server/services.ts";
import { type Played, played } from "../jobs/stand_in_process.ts";
import { type Bench, withQueue } from "../jobs/support.ts";
import { until } from "../until.ts";

/** Offers in the memory of this process. */
class Board {
  readonly waiting = new Set<string>();
  readonly taken = new Set<string>();
  readonly #ranks = new Map<string, number>();
  make(jobs: readonly { readonly id: string; readonly ranks: number }[]) {
    for (const { id, ranks } of jobs) {
      this.#ranks.set(id, ranks);
      if (!this.taken.has(id)) this.waiting.add(id);
    }
    return Promise.resolve();
  }
  take(sizes: readonly number[]) {
    for (const ranks of sizes) {
      const id = [...this.waiting].find((id) => this.#ranks.get(id) === ranks);
      if (id === undefined) continue;
      this.waiting.delete(id);
      this.taken.add(id);
      return Promise.resolve({ id, job: id, ranks });
    }
    return Promise.resolve(undefined);
  }
  touch() {
    return Promise.resolve();
  }
  remove({ id }: { readonly id: string }) {
    this.taken.delete(id);
    return Promise.resolve();
  }
  close() {
    return Promise.resolve();
  }
}

interface Scene extends Bench {
  readonly board: Board;
  /** The worker's. */
  readonly workerFolder: string;
  readonly workerLog: readonly string[];
  readonly requests: readonly string[];
  /** As a signal would. */
  stop(): void;
  /** Resolves when it takes jobs. */
  readonly ready: Promise<void>;
  /** Resolves, or fails, with the worker. */
  readonly ended: Promise<void>;
}

interface Setup {
  /** What stands between the worker and its server. */
  readonly between?: (request: Request, on: () => Promise<Response>) => Promise<Response>;
  readonly play?: (attempt: number) => Played;
  readonly workers?: number;
  readonly cards?: readonly DealtCard[];
  /** Of every task that is started. */
  readonly onTask?: (task: Task) => void;
}

const straight: Required<Setup>["between"] = (_, on) => on();

async function withAgent(
  use: (scene: Scene) => Promise<void>,
  { between = straight, play = () => ({}), workers = 1, cards, onTask }: Setup = {},
): Promise<void> {
  const workerFolder = await Deno.makeTempDir(), ending = new AbortController();
  const workerLog: string[] = [], requests: string[] = [], board = new Board();
  const start = saving(played(play));
  try {
    await withQueue(async (bench) => {
      const parts = { ...bench.queue.parts, offers: board, jobs: bench.queue };
      const pool = new Pool({ ...parts, options: { ...parts.options, lease: 60 } });
      const app = poolRoutes({ pool } as unknown as Services).onError((error) =>
        error instanceof ApiError ? error.toResponse() : new Response(error.stack, { status: 500 })
      );
      await using http = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        (request) => {
          requests.push(`${request.method} ${new URL(request.url).pathname}`);
          return between(request, async () => await app.fetch(request));
        },
      );
      const options = workerOptions.parse({
        server: `http://127.0.0.1:${http.addr.port}`,
        queue: "postgres://nowhere",
        folder: workerFolder,
        name: "far",
        workers,
      });
      const { promise: ready, resolve: onReady } = Promise.withResolvers<void>();
      const ended = runAgent(options, {
        onReady: () => onReady(),
        signal: ending.signal,
        log: new ServerLog((line) => workerLog.push(line)),
        workers: ownPlaces(workers, "a card", cards, "far"),
        offers: board,
        startTraining: (task) => {
          onTask?.(task);
          return start(task);
        },
      });
      ended.catch(() => {}); // whoever cares waits for it
      try {
        const stop = () => ending.abort();
        await use({ ...bench, board, workerFolder, workerLog, requests, ready, ended, stop });
      } catch (error) {
        console.error(workerLog.join("\n"));
        throw error;
      } finally {
        ending.abort();
        await ended.catch(() => {});
        await bench.queue.stop();
        await pool.close();
      }
    }, { workers: 0 });
  } finally {
    await Deno.remove(workerFolder, { recursive: true });
  }
}

/** With files of every checkpoint and result, which the played process has none of. */
function saving(start: StartTraining): StartTraining {
  return (task) => {
    const run = start(task), folder = String(task.options.output);
    let killed = false;
    async function* events() {
      for await (const event of run.events) {
        if (killed) return;
        if (event.type === "checkpoint") {
          const name = join(folder, `checkpoint-${event.step}`, "manifest.json");
          await Deno.writeTextFile(name, `{"output": ${JSON.stringify(folder)}}`);
        }
        if (event.type === "done") {
          await Deno.mkdir(join(folder, "model"));
          await Deno.writeTextFile(join(folder, "model", "model.safetensors"), "weights");
          await Deno.writeTextFile(join(folder, "model", "config.json"), JSON.stringify(folder));
        }
        yield event;
      }
    }
    const kill = () => {
      killed = true;
      run.kill();
    };
    return { ...run, events: events(), kill };
  };
}

const isUpload = ({ method }: Request) => method === "PUT";
const refusal = (status: number, error: { message: string; code: string }) =>
  Promise.resolve(Response.json({ error }, { status }));
/** Every step takes a moment, of which a test may make use. */
const slowly = () => ({
  steps: 400,
  before: () => new Promise<void>((resolve) => setTimeout(resolve, 10)),
});

Deno.test("a job on a worker: its inputs come, its checkpoints and its result go, its folder is left empty", () =>
  withAgent(async ({ queue, store, storage, workerFolder, workerLog, ...bench }) => {
    const { id } = queue.create(bench.job());
    await bench.until(id, "succeeded");
    assertEquals(store.events.metrics(id).map(({ step }) => step), [1, 2, 3, 4, 5, 6, 7, 8]);
    const folder = storage.jobFolder(id);
    assertEquals(
      await Deno.readTextFile(join(folder, "model", "model.safetensors")),
      "weights",
    );
    // Texts name the server's folders.
    assertEquals(JSON.parse(await Deno.readTextFile(join(folder, "model", "config.json"))), folder);
    await until("it is told to have ended", () => workerLog.some((l) => l.includes("has ended")));
    assertEquals([...Deno.readDirSync(join(workerFolder, "jobs"))], []);
    assertEquals([...Deno.readDirSync(join(workerFolder, "inputs"))].length, 1);
    assert(!workerLog.some((line) => / (warn|error) /.test(line)), workerLog.join("\n"));
  }));

Deno.test("two jobs that need the same input at the same time: it comes once, and whole", () =>
  withAgent(async ({ queue, requests, ...bench }) => {
    const ids = [queue.create(bench.job()).id, queue.create(bench.job()).id];
    for (const id of ids) await bench.until(id, "succeeded");
    const inputs = requests.filter((each) => each.includes("/inputs/"))
      .map((each) => each.split("/").at(-1)!);
    // The text once; the configuration is of the run, and each has its own.
    const [text] = Object.values(Object.groupBy(inputs, (hash) => hash)).map((each) => each!.length)
      .sort();
    assertEquals([text, inputs.length], [1, 3]);
  }, { workers: 2 }));

Deno.test("two cards: a job on each, and then one on both, which waits for its turn", async () => {
  const gates = [1, 2, 3, 4].map(() => Promise.withResolvers<void>()), told: unknown[] = [];
  const cards = dealt(
    parseCards(`
  GPU 0: 10de:2684 "RTX 4090" discrete GPU 0000:01:00.0
  GPU 1: 10de:2684 "RTX 4090" discrete GPU 0000:41:00.0`)!,
  );
  await withAgent(async ({ queue, store, ...bench }) => {
    const create = (ranks: number) => {
      const job = bench.job();
      return queue.create({ ...job, plan: { ...job.plan, ranks } }).id;
    };
    const ids = [create(1)];
    await until("it has begun", () => told.length === 1); // attempts are counted in their order
    ids.push(create(1));
    const large = create(4);
    ids.push(...[2, 1].map(create));
    await bench.until(ids[1], "running");
    gates[0].resolve();
    await bench.until(ids[0], "succeeded");
    // The worker that is free looks for jobs, and leaves the last one.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assertEquals(ids.slice(2).map((id) => store.jobs.status(id)), ["queued", "queued"]);
    gates[1].resolve();
    const { runsOn } = await bench.until(ids[2], "running");
    assertEquals([runsOn!.worker, runsOn!.others?.map(({ worker }) => worker)], ["far-1", [
      "far-2",
    ]]);
    gates[2].resolve();
    gates[3].resolve();
    for (const id of ids) await bench.until(id, "succeeded");
    // The one that is too large for the machine has kept nobody from a turn.
    assertEquals(store.jobs.status(large), "queued");
  }, {
    workers: 2,
    cards,
    play: (attempt) => ({ before: () => gates[attempt - 1].promise }),
    onTask: ({ ranks, environment, cards }) =>
      told.push([ranks, environment?.DRI_PRIME, cards?.map(({ DRI_PRIME }) => DRI_PRIME)]),
  });
  const [first, second] = ["pci-0000_01_00_0", "pci-0000_41_00_0"];
  assertEquals(told.slice(0, 2).sort(), [[undefined, first, undefined], [
    undefined,
    second,
    undefined,
  ]]);
  assertEquals(told.slice(2), [[2, undefined, [first, second]], [undefined, first, undefined]]);
});

Deno.test("a disk of the worker that takes nothing: the job goes back, and the reason is told", () =>
  withAgent(async ({ queue, board, workerFolder, ready, ...bench }) => {
    await ready;
    await Deno.remove(join(workerFolder, "inputs"), { recursive: true });
    await Deno.writeTextFile(join(workerFolder, "inputs"), "no folder");
    const { id } = queue.create(bench.job());
    const told = await until(
      "it is told",
      () => bench.told(id).find((text) => text.startsWith("Worker far-1 could not go on: ")),
    );
    assertStringIncludes(told, join(workerFolder, "inputs"));
    // It pauses: the next would fare the same.
    await until("it is offered again", () => board.waiting.has(id));
  }));

Deno.test("an upload that is refused ends the run at once, and the reason is told", () => {
  let attempts = 0;
  return withAgent(async ({ queue, store, ...bench }) => {
    const { id } = queue.create(bench.job());
    const text = "Worker far-1 could not go on: 413 too large; the job continues from its start";
    await until("it is told", () => bench.told(id).includes(text));
    assert(store.events.lastStep(id) < 400);
    assertEquals(attempts, 1);
  }, {
    between: (request, on) =>
      isUpload(request) ? Promise.resolve(new Response("too large", { status: 413 })) : on(),
    play: () => (attempts++, slowly()),
  });
});

Deno.test("a file that comes damaged is sent again, and given up in the end", () => {
  let puts = 0;
  return withAgent(async ({ queue, ...bench }) => {
    const { id } = queue.create(bench.job());
    await until(
      "it is told",
      () =>
        bench.told(id).some((text) => text.startsWith("Worker far-1 could not go on: damaged;")),
    );
    assertEquals(puts, 3);
  }, {
    between: (request, on) =>
      isUpload(request)
        ? (puts++, refusal(400, { message: "damaged", code: "incomplete_body" }))
        : on(),
    play: slowly,
  });
});

Deno.test("a server that is away for every other call, and whose answers are lost: nothing is told twice", () => {
  const seen = new Map<string, number>();
  return withAgent(async ({ queue, store, workerLog, ...bench }) => {
    const { id } = queue.create(bench.job());
    await bench.until(id, "succeeded");
    assertEquals(store.events.metrics(id).map(({ step }) => step), [1, 2, 3, 4, 5, 6, 7, 8]);
    assertEquals(bench.told(id).filter((text) => /^Worker/.test(text)), []);
    await until("it is told to have ended", () => workerLog.some((l) => l.includes("has ended")));
    // The end had arrived, and only its answer was lost: no fault.
    assert(!workerLog.some((line) => line.includes(" error ")), workerLog.join("\n"));
  }, {
    between: async (request, on) => {
      const count = seen.get(request.url) ?? 0;
      seen.set(request.url, count + 1);
      if (request.url.endsWith("/claims")) return await on();
      if (count % 3 === 0) return new Response("restarting", { status: 502 });
      const answer = await on();
      if (count % 3 === 2 || !request.url.endsWith("/reports")) return answer;
      await answer.body?.cancel();
      return new Response("restarting", { status: 502 });
    },
  });
});

Deno.test("a worker that is stopped saves, sends what it has saved, and gives its job back", () =>
  withAgent(async ({ queue, storage, stop, ended, ...bench }) => {
    const { id } = queue.create(bench.job());
    await bench.untilStep(id, 2);
    stop();
    await ended;
    const told = await until(
      "it is told",
      () => bench.told(id).find((text) => text.startsWith("Worker far-1 was stopped;")),
    );
    const [, step] = /from the checkpoint of step (\d+)$/.exec(told)!;
    const path = join(storage.jobFolder(id), `checkpoint-${step}`, "manifest.json");
    assert((await Deno.stat(path)).isFile);
  }, { play: slowly }));

Deno.test("a worker that is stopped while inputs come does not wait for them", () => {
  const asked = Promise.withResolvers<void>(), ended = Promise.withResolvers<void>();
  return withAgent(async (scene) => {
    const { id } = scene.queue.create(scene.job());
    await asked.promise;
    scene.stop();
    await scene.ended;
    ended.resolve();
    await until(
      "it is told",
      () => scene.told(id).includes("Worker far-1 was stopped; the job continues from its start"),
    );
  }, {
    between: async (request, on) => {
      if (!request.url.includes("/inputs/")) return await on();
      asked.resolve();
      await ended.promise;
      return new Response();
    },
  });
});

Deno.test("a key that is revoked ends the worker; its offer is left to others", () =>
  withAgent(async ({ queue, board, ended, ...bench }) => {
    const { id } = queue.create(bench.job());
    await assertRejects(() => ended, UserError, "the key is revoked");
    assertEquals([...board.taken], [id]);
  }, {
    between: (request, on) =>
      request.url.endsWith("/claims")
        ? refusal(401, { message: "the key is revoked", code: "invalid_api_key" })
        : on(),
  }));

Deno.test("a claim with a place outside of the job's folder, or an environment, is not followed", () =>
  withAgent(async ({ queue, workerFolder, workerLog, ...bench }) => {
    queue.create(bench.job());
    await until(
      "it is logged",
      () => workerLog.some((line) => line.includes("must be a place below the folder of the job")),
    );
    await assertRejects(() => Deno.stat(join(workerFolder, "outside")), Deno.errors.NotFound);
  }, {
    between: async (request, on) => {
      const answer = await on();
      if (!request.url.endsWith("/claims")) return answer;
      const claimed = await answer.json();
      return Response.json({ ...claimed, files: [{ ...claimed.files[0], path: "../../outside" }] });
    },
  }));

Deno.test("a machine is the same when its worker starts again, and another has its own name", async () => {
  const folders = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  try {
    const workers = ownPlaces(2, "a card", [], "far");
    const described = (folder: string) => describeMachine(folder, workers);
    const [first, again, other] = [
      await described(folders[0]),
      await described(folders[0]),
      await described(folders[1]),
    ];
    assertEquals(first, again);
    assert(first.machine !== other.machine && /^[\w-]{36}$/.test(first.machine), first.machine);
  } finally {
    for (const folder of folders) await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a worker may not be called as the server's own are", async () => {
  const given = { server: "http://127.0.0.1:1", queue: "postgres://nowhere", name: "server" };
  await assertRejects(
    async () => await workerOptions.parse(given),
    Error,
    "must not be `server`, as the server's own workers are called",
  );
});

/**
 * A clock that is set back and forward by two hours under a running server: no client is locked out
 * or let off, files and jobs keep their order, training goes on, and nothing is deleted early. By
 * libfaketime (on Debian the package of that name), so the machine's own clock is left alone:
 *
 *     deno run -A --lock=tests/deno.lock tests/interop/server/clock.ts <folder> [--checkout DIR]
 *
 * Takes a minute for each move, which is how long a client may have to wait.
 */
import { parseArgs } from "node:util";
import { join } from "@std/path";
import { death } from "./promises.ts";
import {
  Api,
  CHECKOUT,
  createJob,
  emptyFolder,
  jobPath,
  type JobRef,
  pause,
  runKey,
  startServer,
  Tally,
  tinyModels,
  until,
  uploadData,
} from "./support.ts";

const { values, positionals: [work] } = parseArgs({
  allowPositionals: true,
  options: { checkout: { type: "string", default: CHECKOUT } },
});
if (!work) throw new Error("clock.ts: give a folder to work in");

/** Requests a minute; wrong keys have a limit of their own, of 30. */
const RATE = 60;
/** After which a limit has been reset, in milliseconds. */
const MINUTE = 62_000;
const MOVES = [["back", "-7200"], ["forward, to now", "+0"], ["forward", "+7200"]] as const;

const folder = await emptyFolder(join(work, "data")), clock = join(work, "clock");
const modelsFolder = await tinyModels(join(work, "models"));

/** Sets the server's clock, in seconds from the real one. */
function setClock(offset: string): void {
  Deno.writeTextFileSync(`${clock}.new`, `${offset}\n`);
  Deno.renameSync(`${clock}.new`, clock);
}

async function faketime(): Promise<string> {
  const { stdout } = await new Deno.Command("dpkg", { args: ["-L", "libfaketime"] }).output()
    .catch(() => ({ stdout: new Uint8Array() }));
  const path = new TextDecoder().decode(stdout).split("\n")
    .find((line) => line.endsWith("libfaketimeMT.so.1"));
  if (path) return path;
  throw new Error("clock.ts: libfaketime is not installed: apt-get install libfaketime");
}

const createKey = async (name: string): Promise<string> =>
  (await runKey({ checkout: values.checkout, folder }, "--create", name)).secret;

const [ours, theirs] = [await createKey("ours"), await createKey("theirs")];
setClock("+0");
const server = await startServer({
  checkout: values.checkout,
  folder,
  modelsFolder,
  args: ["--rate-limit", String(RATE), "--keep-files", "1"],
  env: {
    LD_PRELOAD: await faketime(),
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  },
});
const api = new Api(server.url, ours);

/** Status of a read with this key, and for how long it says to wait. */
async function read(secret: string): Promise<{ status: number; wait: number }> {
  const response = await fetch(`${server.url}/v1/models`, {
    headers: { authorization: `Bearer ${secret}` },
  });
  await response.body?.cancel();
  return { status: response.status, wait: Number(response.headers.get("retry-after") ?? 0) };
}

/** Reads until refused by a limit. */
async function exhaust(secret: string, most: number): Promise<string[]> {
  for (let count = 0; count <= most; count++) {
    if ((await read(secret)).status === 429) return [];
  }
  return [`${most} requests a minute were not limited`];
}

/** Right after a move: still refused, for no longer than a minute. */
async function refused(what: string, secret: string): Promise<string[]> {
  const { status, wait } = await read(secret);
  if (status !== 429) return [`${what} is let off its limit by a move of the clock`];
  return wait <= 60 ? [] : [`${what} is told to wait longer than a minute`];
}

/** A minute later: answered again. */
async function answered(what: string, secret: string, expected: number): Promise<string[]> {
  const { status } = await read(secret);
  return status === expected ? [] : [`${what} is locked out after a minute: ${status}`];
}

const files: string[] = [], jobs: JobRef[] = [];

/** Lists in the order of creation, whatever the clock said. */
async function orderFaults(): Promise<string[]> {
  const ids = async (path: string) => {
    const all: string[] = [];
    for (let after = "";;) {
      const page = await api.get(`${path}${after && `&after=${after}`}`);
      all.push(...page.data.map(({ id }: { id: string }) => id));
      if (!page.has_more) return all;
      after = page.data.at(-1).id;
    }
  };
  const newest = (list: readonly string[]) => list.toReversed().join();
  const faults: string[] = [];
  const oldest = await ids("/files?order=asc&limit=4");
  if (oldest.join() !== files.join()) faults.push("files are not in their order, oldest first");
  if ((await ids("/files?limit=4")).join() !== newest(files)) {
    faults.push("files are not in their order, newest first");
  }
  if ((await ids("/pretraining/jobs?limit=3")).join() !== newest(jobs.map(({ id }) => id))) {
    faults.push("jobs are not in their order");
  }
  return faults;
}

/** The first job still trains, at a speed that can be. */
async function trainingFaults(): Promise<string[]> {
  const at = async () => (await api.get(jobPath(jobs[0]))).progress?.step ?? 0;
  const before = await at();
  await pause(3000);
  if (await at() <= before) return ["training stopped"];
  const { data } = await api.get(`${jobPath(jobs[0])}/events?limit=50`);
  const odd = data.find(({ type, data }: { type: string; data: Record<string, number> }) =>
    type === "metrics" && !(data.step_ms > 0 && data.step_ms < 60_000)
  );
  return odd ? [`a step took ${odd.data.step_ms} ms`] : [];
}

/** Counts what comes on a stream. */
class Followed {
  pieces = 0;
  ended = false;

  constructor(path: string) {
    this.#read(path);
  }

  async #read(path: string): Promise<void> {
    const headers = { authorization: `Bearer ${ours}` };
    try {
      const { body } = await fetch(`${server.url}/v1${path}`, { headers });
      for await (const _ of body!) this.pieces++;
    } catch {
      // The server has gone.
    }
    this.ended = true;
  }
}

const data = await uploadData(api);
files.push(data.pretraining, data.fine_tuning);
const another = async () => {
  files.push(await api.upload(`${files.length}.txt`, "One line.\n".repeat(500), "pretrain"));
  jobs.push(await createJob(api, "pretraining", data, { steps: 20 }));
};

const tally = new Tally();
try {
  jobs.push(await createJob(api, "pretraining", data, { steps: 100_000, save_every: 1000 }));
  const followed = new Followed(`${jobPath(jobs[0])}/events?stream=true`);
  await another();
  await until(20_000, () => followed.pieces > 20 || undefined);
  for (const [way, offset] of MOVES) {
    const limited = [...await exhaust(theirs, RATE + 1), ...await exhaust("sk-wrong", 31)];
    const since = performance.now();
    setClock(offset);
    const pieces = followed.pieces;
    const locked = [
      ...limited,
      ...await refused("a client", theirs),
      ...await refused("a client with a wrong key", "sk-wrong"),
    ];
    await another();
    const training = await trainingFaults(), order = await orderFaults();
    await pause(MINUTE - (performance.now() - since));
    locked.push(
      ...await answered("a client", theirs, 200),
      ...await answered("a client with a wrong key", "sk-wrong", 401),
    );
    tally.add(`clock ${way}: limits`, locked);
    training.push(...await trainingFaults());
    if (followed.ended || followed.pieces === pieces) training.push("a stream stopped");
    tally.add(`clock ${way}: training and streams`, training);
    tally.add(`clock ${way}: order, nothing deleted`, [...order, ...await orderFaults()]);
  }
  await api.post(`${jobPath(jobs[0])}/cancel`);
  tally.add("jobs run in their order", await turnFaults());
} catch (error) {
  tally.add("all", [(error as Error).message]);
}
const died = await death(server);
if (died) tally.add("all", [died]);
await server.stop("SIGKILL");
Deno.exit(tally.print() ? 0 : 1);

/** Waiting jobs start in the order of their creation, and succeed. */
async function turnFaults(): Promise<string[]> {
  const started: number[] = [];
  for (const job of jobs) {
    if (job !== jobs[0]) {
      const ended = await until(60_000, async () => {
        await pause(1000);
        const { status } = await api.get(jobPath(job));
        return ["succeeded", "failed", "cancelled"].includes(status) ? status : undefined;
      });
      if (ended !== "succeeded") return [`a job ended as ${ended}`];
    }
    const { data } = await api.get(`${jobPath(job)}/events?limit=100`);
    const start = data.find(({ message }: { message: string }) => / job started/.test(message));
    // That of the first may be on a later page: it was first.
    started.push(start ? Number(start.id.replace("ftevent-", "")) : 0);
  }
  return started.every((seq, at) => at === 0 || seq > started[at - 1])
    ? []
    : ["jobs did not start in the order of their creation"];
}

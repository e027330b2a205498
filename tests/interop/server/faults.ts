/**
 * A full disk, a kill -9, and both, at random moments: no job is lost, none has a status that no
 * process stands behind, and the server goes on. On Linux, as root, because the data folder is a
 * tmpfs of 40 MB:
 *
 *     deno run -A --lock=tests/deno.lock tests/interop/server/faults.ts <folder> [--checkout DIR] [--seed 1]
 *       [--full 50] [--kills 20] [--both 10] [--first 1]
 *
 * A line for each try, then a table; exits with 1 if a promise was broken. `--first` repeats the
 * later ones: each try has a seed of its own.
 */
import { parseArgs } from "node:util";
import { join } from "@std/path";
import { randomStream } from "../../../src/data/random.ts";
import {
  death,
  deleteFaults,
  endFaults,
  readFaults,
  refusalFaults,
  statusFaults,
  untilQuiet,
} from "./promises.ts";
import { SmallDisk } from "./small_disk.ts";
import {
  Api,
  CHECKOUT,
  createJob,
  emptyFolder,
  jobPath,
  type JobRef,
  KINDS,
  pause,
  startServer,
  Tally,
  type TestServer,
  tinyModels,
  trainingProcesses,
  uploadData,
} from "./support.ts";

const { values, positionals: [work] } = parseArgs({
  allowPositionals: true,
  options: {
    checkout: { type: "string", default: CHECKOUT },
    seed: { type: "string", default: "1" },
    full: { type: "string", default: "50" },
    kills: { type: "string", default: "20" },
    both: { type: "string", default: "10" },
    first: { type: "string", default: "1" },
  },
});
if (!work) throw new Error("faults.ts: give a folder to work in");

const STEPS = 120;
/** About what a job takes here, in milliseconds: faults come at any moment of it. */
const JOB_MS = 6000;
/** More than a checkpoint and less than two. */
const CHECKPOINT_BYTES = 250_000;

const disk = await SmallDisk.mount(join(work, "disk"));
const modelsFolder = await tinyModels(join(work, "models")), folder = join(disk.path, "data");

/** A try in progress. */
interface Try {
  readonly random: () => number;
  server: TestServer;
  api: Api;
  readonly jobs: JobRef[];
  /** Its progress may be waited for. */
  untilStep(step: number): Promise<void>;
  /** Another job, with faults to come. */
  start(count?: number, change?: Record<string, unknown>): Promise<void>;
  readonly faults: string[];
}

const start = () => startServer({ checkout: values.checkout, folder, modelsFolder });

/** Fills the disk when one job or several are somewhere. */
const FULL: Readonly<Record<string, (one: Try) => Promise<void>>> = {
  async "one job"(one) {
    await one.start();
    await pause(JOB_MS * one.random());
    disk.fill();
  },
  async "several queued"(one) {
    await one.start(3);
    await pause(JOB_MS * one.random());
    disk.fill();
  },
  async "at its start"(one) {
    await one.start();
    await pause(1000 * one.random());
    disk.fill();
  },
  async "during a checkpoint"(one) {
    await one.start(1, { save_every: 3 });
    await one.untilStep(1 + Math.floor(60 * one.random()));
    disk.fill(Math.floor(CHECKPOINT_BYTES * one.random()));
  },
  async "during an upload"(one) {
    await one.start();
    await pause(JOB_MS * one.random());
    const upload = slowUpload(one.api);
    await pause(300 * one.random());
    disk.fill();
    one.faults.push(...await refusalFaults(() => upload));
  },
  async "at the result"(one) {
    await one.start(1, { save_every: 0 });
    await one.untilStep(STEPS - 15);
    await pause(400 * one.random());
    disk.fill(Math.floor(CHECKPOINT_BYTES * one.random()));
  },
  async "no inodes left"(one) {
    await one.start(2, { save_every: 10 });
    await pause(JOB_MS * one.random());
    disk.fillInodes();
  },
};

/** About 1 MB in half a second. */
function slowUpload(api: Api): Promise<unknown> {
  const block = new TextEncoder().encode("All the world is a stage.\n".repeat(1000));
  const [boundary, line] = ["----slow", "\r\n"];
  const head = [
    ...[`--${boundary}`, `content-disposition: form-data; name="purpose"`, "", "pretrain"],
    ...[`--${boundary}`, `content-disposition: form-data; name="file"; filename="slow.txt"`],
    ...["content-type: text/plain", "", ""],
  ];
  const body = async function* () {
    yield new TextEncoder().encode(head.join(line));
    for (let count = 0; count < 40; count++, await pause(12)) yield block;
    yield new TextEncoder().encode(`${line}--${boundary}--${line}`);
  };
  return api.send(
    "POST",
    "/files",
    ReadableStream.from(body()),
    `multipart/form-data; boundary=${boundary}`,
  );
}

/** Starts a server with an empty data folder, lets `happen`, and checks the end of its jobs. */
async function attempt(
  random: () => number,
  happen: (one: Try) => Promise<void>,
): Promise<string[]> {
  disk.empty();
  await emptyFolder(folder);
  const server = await start(), api = new Api(server.url);
  const files = await uploadData(api), jobs: JobRef[] = [];
  const faults: string[] = [];
  const one: Try = {
    random,
    server,
    api,
    jobs,
    faults,
    async start(count = 1, change = {}) {
      for (let more = 0; more < count; more++) {
        const kind = KINDS[Math.floor(KINDS.length * random())];
        const options = { steps: STEPS, ...change };
        jobs.push(await createJob(this.api, kind, files, options));
      }
    },
    async untilStep(step) {
      for (;;) {
        const { progress, status } = await this.api.get(jobPath(jobs[0]));
        if (progress?.step >= step || status === "succeeded") return;
        await pause(5);
      }
    },
  };
  try {
    await happen(one);
    faults.push(...await endFaults(one.api, jobs, STEPS));
  } catch (error) {
    faults.push(`${(error as Error).message}`.split("\n")[0]);
  }
  const died = await death(one.server);
  if (died && !faults.includes(died)) faults.unshift(died);
  await one.server.stop("SIGKILL");
  return faults;
}

/** What holds while the disk is full; then there is room again. */
async function whileFull(one: Try, spare: string): Promise<void> {
  const { api, jobs, faults } = one;
  if (one.random() < 0.5) disk.keepFilling();
  await untilQuiet(api, jobs);
  faults.push(...await statusFaults(one.server, api, jobs), ...await readFaults(api, jobs));
  disk.stopFilling();
  const upload = () => api.upload("small.txt", "One line.\n".repeat(100), "pretrain");
  faults.push(...await refusalFaults(upload), ...await refusalFaults(() => one.start()));
  faults.push(...await deleteFaults(api, spare));
  disk.empty();
}

/** Kills the server, sometimes with the process that trains, and starts it again. */
async function killed(one: Try): Promise<void> {
  const children = trainingProcesses(one.server.process.pid);
  const before = await lastCheckpoint(one);
  if (one.random() < 0.5) { for (const pid of children) kill(pid); }
  await one.server.stop("SIGKILL");
  one.server = await start();
  one.api = new Api(one.server.url);
  const after = await continued(one);
  if (after < before) one.faults.push(`continues from step ${after} instead of ${before}`);
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

const messages = async ({ api, jobs }: Try): Promise<string[]> =>
  (await api.get(`${jobPath(jobs[0])}/events?limit=100`)).data
    .map(({ message }: { message: string }) => message);

/** The step of the newest checkpoint that the first job has told of. */
async function lastCheckpoint(one: Try): Promise<number> {
  const told = (await messages(one)).flatMap((text) =>
    /^Checkpoint created at step (\d+)/.exec(text)?.[1] ?? []
  );
  return Math.max(0, ...told.map(Number));
}

/** The step from which the first job continues; none if it had ended. */
async function continued(one: Try): Promise<number> {
  const told = (await messages(one)).find((text) => /(continues|goes on) from/.test(text));
  if (!told) return Infinity;
  return Number(/of step (\d+)/.exec(told)?.[1] ?? 0);
}

const tally = new Tally();
let index = 0;

/** Runs that many tries; each has its own random numbers, so that it can be repeated. */
async function series(
  tries: string,
  name: (index: number) => string,
  happen: (one: Try, index: number) => Promise<void>,
): Promise<void> {
  for (let each = 0; each < Number(tries); each++) {
    if (++index < Number(values.first)) continue;
    const begun = performance.now();
    const random = randomStream(Number(values.seed), index, 0);
    const faults = await attempt(random, (one) => happen(one, each));
    tally.add(name(each), faults, `(try ${index}, ${seconds(begun)} s)`);
  }
}

const seconds = (begun: number) => ((performance.now() - begun) / 1000).toFixed(1);

try {
  const kinds = Object.keys(FULL), kind = (index: number) => kinds[index % kinds.length];
  await series(values.full, (at) => `full disk, ${kind(at)}`, async (one, at) => {
    const spare = await one.api.upload("spare.txt", "To be deleted.\n".repeat(5000), "pretrain");
    await FULL[kind(at)](one);
    await whileFull(one, spare);
  });
  await series(values.kills, () => "kill -9", async (one) => {
    await one.start(2);
    await pause(JOB_MS * one.random());
    await killed(one);
    one.faults.push(...await statusFaults(one.server, one.api, one.jobs));
    one.faults.push(...await readFaults(one.api, one.jobs));
  });
  await series(values.both, () => "kill -9 and a full disk", async (one) => {
    const spare = await one.api.upload("spare.txt", "To be deleted.\n".repeat(5000), "pretrain");
    await one.start(2);
    await pause(JOB_MS * one.random());
    const fullFirst = one.random() < 0.5;
    if (fullFirst) disk.fill();
    await one.server.stop("SIGKILL");
    disk.fill();
    try {
      one.server = await start();
    } catch (error) {
      const reason = (error as Error).message.split("\n").find((line) =>
        /error|cannot/i.test(line)
      );
      one.faults.push(`does not start on a full disk: ${reason}`);
      disk.empty();
      one.server = await start();
      one.api = new Api(one.server.url);
      return;
    }
    one.api = new Api(one.server.url);
    await whileFull(one, spare);
  });
} finally {
  await disk.unmount();
}
Deno.exit(tally.print() ? 0 : 1);

/**
 * A full disk, a kill -9, and both, at random moments: no job is lost, none has a status that no
 * process stands behind, and the server goes on. On Linux, as root, because the data folder is on a
 * tmpfs of 40 MB:
 *
 *     deno run -A --lock=tests/deno.lock tests/interop/server/faults.ts <folder> [--checkout DIR]
 *       [--seed 1] [--full 50] [--kills 20] [--both 10] [--first 1]
 *
 * A line for each try, then a table; exits with 1 if a promise was broken. Each try has random
 * numbers of its own: `--first 17` repeats those from the 17th on.
 */
import { parseArgs } from "node:util";
import { join } from "@std/path";
import { randomStream } from "../../../src/data/random.ts";
import { Attempt } from "./attempt.ts";
import { deleteFaults, readFaults, refusalFaults, statusFaults, untilQuiet } from "./promises.ts";
import { slowUpload } from "./slow_upload.ts";
import { SmallDisk } from "./small_disk.ts";
import { CHECKOUT, jobPath, pause, Tally, tinyModels, trainingProcesses } from "./support.ts";

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

/** About what a job takes, in milliseconds: faults come at any moment of it. */
const JOB_MS = 6000;
/** More than a checkpoint and less than two. */
const CHECKPOINT_BYTES = 250_000;

const disk = await SmallDisk.mount(join(work, "disk"));
const modelsFolder = await tinyModels(join(work, "models")), folder = join(disk.path, "data");

/** Fills the disk when one job or several are somewhere. */
const FULL: Readonly<Record<string, (attempt: Attempt) => Promise<void>>> = {
  async "one job"(attempt) {
    await attempt.start();
    await pause(attempt.upTo(JOB_MS));
    disk.fill();
  },
  async "several queued"(attempt) {
    for (let count = 0; count < 3; count++) await attempt.start();
    await pause(attempt.upTo(JOB_MS));
    disk.fill();
  },
  async "at its start"(attempt) {
    await attempt.start();
    await pause(attempt.upTo(1000));
    disk.fill();
  },
  async "during a checkpoint"(attempt) {
    await attempt.start({ save_every: 3 });
    await attempt.untilStep(1 + Math.floor(attempt.upTo(attempt.steps / 2)));
    disk.fill(Math.floor(attempt.upTo(CHECKPOINT_BYTES)));
  },
  async "during an upload"(attempt) {
    await attempt.start();
    await pause(attempt.upTo(JOB_MS));
    const upload = slowUpload(attempt.api);
    await pause(attempt.upTo(300));
    disk.fill();
    attempt.faults.push(...await refusalFaults(() => upload));
  },
  async "at the result"(attempt) {
    await attempt.start({ save_every: 0 });
    await attempt.untilStep(attempt.steps - 15);
    await pause(attempt.upTo(400));
    disk.fill(Math.floor(attempt.upTo(CHECKPOINT_BYTES)));
  },
  async "no inodes left"(attempt) {
    for (let count = 0; count < 2; count++) await attempt.start({ save_every: 10 });
    await pause(attempt.upTo(JOB_MS));
    disk.fillInodes();
  },
};

/** A file to be deleted. */
const spareFile = ({ api }: Attempt) =>
  api.upload("spare.txt", "To be deleted.\n".repeat(5000), "pretrain");

/** What holds while the disk is full; then there is room again. */
async function whileFull(attempt: Attempt, spare: string): Promise<void> {
  const { server, api, jobs, faults } = attempt;
  if (attempt.half) disk.keepFilling();
  await untilQuiet(api, jobs);
  faults.push(...await statusFaults(server, api, jobs), ...await readFaults(api, jobs));
  disk.stopFilling();
  const upload = () => api.upload("small.txt", "One line.\n".repeat(100), "pretrain");
  faults.push(...await refusalFaults(upload), ...await refusalFaults(() => attempt.start()));
  faults.push(...await deleteFaults(api, spare));
  // A job that was accepted has found no room, either.
  await untilQuiet(api, jobs);
  disk.empty();
}

async function fullDisk(attempt: Attempt, fill: (attempt: Attempt) => Promise<void>) {
  const spare = await spareFile(attempt);
  await fill(attempt);
  await whileFull(attempt, spare);
}

/** Kills the server, sometimes with the process that trains, and starts it again. */
async function killed(attempt: Attempt): Promise<void> {
  for (let count = 0; count < 2; count++) await attempt.start();
  await pause(attempt.upTo(JOB_MS));
  const { faults, jobs } = attempt, before = await lastCheckpoint(attempt);
  const children = trainingProcesses(attempt.server.process.pid);
  for (const pid of attempt.half ? children : []) kill(pid);
  await attempt.server.stop("SIGKILL");
  await attempt.restart();
  const after = await continued(attempt);
  if (after < before) faults.push(`continues from step ${after} instead of ${before}`);
  faults.push(...await statusFaults(attempt.server, attempt.api, jobs));
  faults.push(...await readFaults(attempt.api, jobs));
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

async function messages({ api, jobs: [first] }: Attempt): Promise<string[]> {
  const { data } = await api.get(`${jobPath(first)}/events?limit=100`);
  return data.map(({ message }: { message: string }) => message);
}

/** The step of the newest checkpoint that the first job has told of. */
async function lastCheckpoint(attempt: Attempt): Promise<number> {
  const told = (await messages(attempt)).map((text) =>
    /^Checkpoint created at step (\d+)/.exec(text)?.[1] ?? 0
  );
  return Math.max(0, ...told.map(Number));
}

/** The step from which the first job continues; none if it had ended. */
async function continued(attempt: Attempt): Promise<number> {
  const told = (await messages(attempt)).find((text) => /(continues|goes on) from/.test(text));
  return told ? Number(/of step (\d+)/.exec(told)?.[1] ?? 0) : Infinity;
}

/** Kills the server before or after the disk is full, where it starts again. */
async function both(attempt: Attempt): Promise<void> {
  const spare = await spareFile(attempt);
  for (let count = 0; count < 2; count++) await attempt.start();
  await pause(attempt.upTo(JOB_MS));
  if (attempt.half) disk.fill();
  await attempt.server.stop("SIGKILL");
  disk.fill();
  try {
    await attempt.restart();
  } catch (error) {
    const reason = (error as Error).message.split("\n").find((line) => /error|cannot/i.test(line));
    attempt.faults.push(`does not start on a full disk: ${reason}`);
    disk.empty();
    return await attempt.restart();
  }
  await whileFull(attempt, spare);
}

const tally = new Tally();
let index = 0;

async function series(
  tries: string,
  kind: (at: number) => readonly [name: string, happen: (attempt: Attempt) => Promise<void>],
): Promise<void> {
  for (let at = 0; at < Number(tries); at++) {
    if (++index < Number(values.first)) continue;
    const [name, happen] = kind(at), begun = performance.now();
    const random = randomStream(Number(values.seed), index, 0);
    disk.empty();
    const setting = { checkout: values.checkout, folder, modelsFolder, random };
    const faults = await Attempt.run(setting, happen);
    const seconds = (performance.now() - begun) / 1000;
    tally.add(name, faults, `(try ${index}, ${seconds.toFixed(1)} s)`);
  }
}

try {
  const kinds = Object.entries(FULL);
  await series(values.full, (at) => {
    const [name, fill] = kinds[at % kinds.length];
    return [`full disk, ${name}`, (attempt) => fullDisk(attempt, fill)];
  });
  await series(values.kills, () => ["kill -9", killed]);
  await series(values.both, () => ["kill -9 and a full disk", both]);
} finally {
  await disk.unmount();
}
Deno.exit(tally.print() ? 0 : 1);

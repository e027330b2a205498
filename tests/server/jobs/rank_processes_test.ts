/** Jobs of several processes by MPI's launcher: the weights of one process, and what signals leave. */
import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { fromFileUrl, join } from "@std/path";
import { ownPlaces } from "../../../src/server/jobs/slots.ts";
import { fileOf } from "../../../src/server/jobs/inputs.ts";
import { type Task, trainingTask } from "../../../src/server/jobs/run_options.ts";
import { startTraining } from "../../../src/server/jobs/training_process.ts";
import { checkpointSteps } from "../../../src/formats/checkpoint/reader.ts";
import type { NewJob } from "../../../src/server/services.ts";
import { newId } from "../../../src/server/store/ids.ts";
import { mpiTest } from "../../parallel/support.ts";
import { until } from "../until.ts";
import { type Bench, withQueue } from "./support.ts";

const inRanks = (job: NewJob, ranks: number): NewJob => ({ ...job, plan: { ...job.plan, ranks } });

async function weights({ storage }: Bench, id: string): Promise<string> {
  const path = join(storage.jobFolder(id), "model", "model.safetensors");
  return createHash("sha256").update(await Deno.readFile(path)).digest("hex");
}

/** The launcher's and those that it started: the job's folder is among their permissions. */
async function processesOf(folder: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    const words = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (words.includes(`--allow-write=${folder}`)) found.push(Number(name));
  }
  return found.sort((a, b) => a - b);
}

/** What of a process's permissions is for native code. */
async function nativeOf(pid: number): Promise<string[]> {
  const words = (await Deno.readTextFile(`/proc/${pid}/cmdline`)).split("\0");
  return words.filter((word) => /^(-A|--allow-(ffi|run|net|all))/.test(word));
}

const gone = (folder: string) =>
  until("no process of the job is left", async () => !(await processesOf(folder)).length);

/** A task of two processes that would train for long. */
async function endless(bench: Bench): Promise<Task> {
  const { queue: { parts }, store } = bench;
  const job = {
    ...inRanks(bench.job({ steps: 10_000, evalShare: 0, saveEvery: 5 }), 2),
    id: newId("ptjob"),
  };
  await Deno.mkdir(parts.storage.jobFolder(job.id), { recursive: true });
  return await trainingTask(job, { ...parts, file: (id) => fileOf(store, id) });
}

mpiTest(
  "a job of 2 processes: paused, resumed, and the weights of one with their batches",
  () =>
    withQueue(async (bench) => {
      const { queue, store } = bench, short = { steps: 14, evalShare: 0, saveEvery: 8 };
      const one = queue.create(bench.job({ ...short, gradientAccumulation: 2 })).id;
      const { id } = queue.create(inRanks(bench.job(short), 2));
      const alone = await until("one process trains", async () => {
        const found = await processesOf(bench.storage.jobFolder(one));
        return found.length ? found : undefined;
      });
      assertEquals(await Promise.all(alone.map(nativeOf)), [[]]);
      await bench.untilStep(id, 2);
      const processes = await processesOf(bench.storage.jobFolder(id));
      assertEquals(processes.length, 3);
      const [native, ...more] = await nativeOf(processes[2]);
      assert(more.length === 0 && native.startsWith("--allow-ffi=/"), native);
      assert(native.split(",").every((path) => /\/libmpi[^/]*$/.test(path)), native);
      queue.pause(id);
      await bench.until(id, "paused");
      assert(store.checkpoints.of(id).length > 0);
      assertEquals(await processesOf(bench.storage.jobFolder(id)), []);
      queue.resume(id);
      for (const each of [one, id]) await bench.until(each, "succeeded");
      assertEquals(await weights(bench, id), await weights(bench, one));
      const steps = (id: string) => store.events.metrics(id).map(({ step }) => step);
      assertEquals(steps(id), steps(one));
      // A cancelled job leaves no process.
      const cancelled = queue.create(inRanks(bench.job({ steps: 10_000 }), 2)).id;
      await bench.untilStep(cancelled, 1);
      queue.cancel(cancelled);
      await bench.until(cancelled, "cancelled");
      assertEquals(await processesOf(bench.storage.jobFolder(cancelled)), []);
    }, { own: ownPlaces(2, "GPU") }),
);

mpiTest(
  "kill -9 of the launcher leaves no process, and none that trains on",
  () =>
    withQueue(async (bench) => {
      const task = await endless(bench), folder = String(task.options.output);
      const process = startTraining(task);
      for await (const event of process.events) {
        if (event.type !== "step" || event.step < 2) continue;
        const [launcher, ...others] = await processesOf(folder);
        assertEquals(others.length, 2);
        Deno.kill(launcher, "SIGKILL");
        break;
      }
      assertEquals((await process.exit).signal, "SIGKILL");
      await gone(folder);
    }),
);

mpiTest(
  "Ctrl-C is the server's; after kill -9 of it its processes finish the step, save and end",
  () =>
    withQueue(async (bench) => {
      const task = await endless(bench), folder = String(task.options.output);
      const server = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--no-check", fromFileUrl(import.meta.resolve("./start_training.ts"))],
          JSON.stringify(task),
        ],
        detached: true, // a process group of its own, as a terminal gives it
        stdin: "null",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      for await (const text of server.stdout.pipeThrough(new TextDecoderStream())) {
        if (text.includes("step 2.")) Deno.kill(-server.pid, "SIGINT");
        if (text.includes("step 6.")) server.kill("SIGKILL");
      }
      await gone(folder);
      const journal = (await Deno.readTextFile(join(folder, "events.jsonl"))).trim().split("\n")
        .map((line) => JSON.parse(line));
      const { type, interrupted } = journal.at(-1);
      assertEquals([type, interrupted], ["done", true]);
      const last = journal.findLast(({ type }) => type === "step").step;
      assertEquals((await checkpointSteps(folder)).at(-1), last);
    }),
);

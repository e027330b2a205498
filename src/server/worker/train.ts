/**
 * The process that trains one job: a task on stdin, events on stdout, one JSON object per line. It
 * uses the GPU, so that a driver crash takes down only this process. Of several that train a job
 * together, the first alone reads and reports; the others say what they fail at.
 *
 * @module
 */
import { join } from "../../packages/std_path.ts";
import { diskFault } from "../../files/disk_error.ts";
import { GpuError, OutOfMemoryError } from "../../gpu/errors.ts";
import { UserError } from "../../options/user_error.ts";
import { Gpu } from "../../gpu/gpu.ts";
import { openRanks } from "../../parallel/open_ranks.ts";
import { OtherRankError } from "../../parallel/other_rank_error.ts";
import { ALONE, type Ranks } from "../../parallel/ranks.ts";
import { reportedRun } from "../../report/reported_run.ts";
import { saveCheckpointModel } from "../../train/checkpoint_model.ts";
import { finetuneOptions } from "../../train/finetune_options.ts";
import { pretrainOptions } from "../../train/options.ts";
import type { Timings } from "../../train/timings.ts";
import { type Preparing, Trainer } from "../../train/trainer.ts";
import { jsonLine } from "../processes/lines.ts";
import { isProgram } from "../processes/own_program.ts";
import { chosenFinetuning, chosenPretraining } from "./chosen_options.ts";
import { Journal } from "./journal.ts";
import { fewReports } from "../../train/few_reports.ts";
import {
  type FailureCode,
  type FailureEvent,
  LOCK_FILE,
  type TrainingTask,
  type WorkerEvent,
} from "./protocol.ts";
import { endWithParent, receiveTask } from "./task.ts";

/** Milliseconds in which another of several processes says what has failed, before all are ended. */
const REPORT_MS = 5000;
/** What fails on a card rather than in a run. */
const OF_CARDS: readonly FailureCode[] = ["gpu_error", "insufficient_gpu_memory"];

const NEW_LINE = [0x0a];

let ranks: Ranks = ALONE, isHeard = true;

async function saveCheckpoint({ kind, options }: TrainingTask): Promise<void> {
  const gpu = await Gpu.open();
  try {
    await saveCheckpointModel(
      gpu,
      kind === "fine_tuning"
        ? { finetune: finetuneOptions.parseUnknown(options) }
        : { pretrain: pretrainOptions.parseUnknown(options) },
    );
  } finally {
    gpu.close();
  }
}

/** Opens the run as one of these processes does. */
function openTrainer(
  gpu: Gpu,
  { kind, options, timings }: TrainingTask,
  onPreparation: Preparing["onPreparation"],
): Promise<Trainer> {
  const preparing = { onPreparation, timings: ofServer(timings), ranks };
  return kind === "fine_tuning"
    ? Trainer.finetune(gpu, chosenFinetuning({ options }), preparing)
    : Trainer.pretrain(gpu, chosenPretraining({ options }), preparing);
}

async function follow(task: TrainingTask): Promise<void> {
  const gpu = await Gpu.open();
  try {
    const trainer = await openTrainer(gpu, task, () => {});
    for await (const _ of trainer.run()); // the first has its events
  } finally {
    gpu.close();
  }
}

async function train(task: TrainingTask, signal: AbortSignal): Promise<void> {
  const folder = String(task.options.output);
  await Deno.mkdir(folder, { recursive: true });
  using lock = await Deno.open(join(folder, LOCK_FILE), { write: true, create: true });
  // An earlier process may still be saving.
  await lock.lock(true);
  using journal = new Journal(folder);
  const report = (event: WorkerEvent) => {
    try {
      journal.append(event);
    } catch (error) {
      // At once: a checkpoint of what the journal lacks would leave a gap in the job's curves.
      fail(error);
    }
    send(event);
  };
  const gpu = await Gpu.open();
  try {
    const onProgress = fewReports(send), trainer = await openTrainer(gpu, task, onProgress);
    for await (const event of reportedRun(trainer, { signal, onProgress })) report(event);
  } finally {
    gpu.close();
  }
}

/** Stops the run when it is told to, and when nobody is there to tell it. */
async function heed(orders: AsyncIterable<unknown>, run: AbortController): Promise<void> {
  try {
    for await (const _ of orders) run.abort();
  } catch {
    // A pipe that breaks is the same as one that ends.
  }
  isHeard = false;
  run.abort();
}

/** Tiles that the server remembers. */
function ofServer(known: TrainingTask["timings"] = {}): Timings {
  return {
    recall: (key) => known[key],
    remember: (key, tiles) => send({ type: "timings", key, tiles }),
  };
}

/** Sends an event of the run to the server; if that is gone, the journal has it. */
function send(event: WorkerEvent): void {
  if (ranks.rank === 0) tell(event);
}

/** Sends what any of several processes has to say. */
function tell(event: WorkerEvent): void {
  // A launcher that cannot pass on what it is given ends the run.
  if (!isHeard) return;
  const line = jsonLine(event);
  try {
    // What others say may come into the middle of a line of the first.
    let rest = ranks.rank === 0 ? line : new Uint8Array([...NEW_LINE, ...line]);
    while (rest.length) rest = rest.subarray(Deno.stdout.writeSync(rest));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** Of those that wait for the same others, the first says so. */
function onWait(message: string, missing: readonly number[]): void {
  const { rank } = ranks;
  if (missing.filter((other) => other < rank).length === rank) tell({ type: "waiting", message });
}

function fail(error: unknown): never {
  tell(failureOf(error));
  Deno.exit(1);
}

function failureOf(error: unknown): FailureEvent {
  const { message, stack } = error as Error;
  const code: FailureCode = diskFault(error) ??
    (error instanceof OutOfMemoryError
      ? "insufficient_gpu_memory"
      : error instanceof GpuError
      ? "gpu_error"
      : error instanceof UserError
      ? "invalid_run"
      : "internal_error");
  const { rank, size } = ranks, isOfRank = size > 1 && (rank > 0 || OF_CARDS.includes(code));
  if (code === "internal_error") console.error(stack ?? error);
  return {
    type: "failure",
    code,
    ...(isOfRank && { rank }),
    ...(error instanceof OtherRankError && { follows: true }),
    ...(error instanceof UserError ? error.explanation : { message }),
  };
}

if (isProgram(import.meta)) {
  // Ignored: Ctrl-C in the server's terminal reaches this process too, but the server decides.
  Deno.addSignalListener("SIGINT", () => {});
  const controller = new AbortController(), { signal } = controller;
  try {
    ranks = openRanks({ signal, onWait });
    if (ranks.size > 1) endWithParent();
    const { task, orders } = await receiveTask(ranks);
    if (orders) void heed(orders, controller);
    if (task.saveCheckpoint) await saveCheckpoint(task);
    else if (ranks.rank > 0) await follow(task);
    else await train(task, signal);
    await ranks.close();
  } catch (error) {
    if (error instanceof OtherRankError) {
      await new Promise((resolve) => setTimeout(resolve, REPORT_MS));
    }
    fail(error);
  }
  // Exit explicitly, because stdin is still being read.
  Deno.exit(0);
}

/**
 * The process that trains one job: a task on stdin, events on stdout, one JSON object per line. It
 * uses the GPU, so that a driver crash takes down only this process.
 *
 * @module
 */
import { join } from "../../packages/std_path.ts";
import { diskFault } from "../../files/disk_error.ts";
import { GpuError, OutOfMemoryError } from "../../gpu/errors.ts";
import { UserError } from "../../options/user_error.ts";
import { Gpu } from "../../gpu/gpu.ts";
import { reportedRun } from "../../report/reported_run.ts";
import { saveCheckpointModel } from "../../train/checkpoint_model.ts";
import { finetuneOptions } from "../../train/finetune_options.ts";
import { pretrainOptions } from "../../train/options.ts";
import type { Timings } from "../../train/timings.ts";
import { Trainer } from "../../train/trainer.ts";
import { jsonLine, readJsonLines } from "../processes/lines.ts";
import { isProgram } from "../processes/own_program.ts";
import { chosenFinetuning, chosenPretraining } from "./chosen_options.ts";
import { Journal } from "./journal.ts";
import { fewReports } from "../../train/few_reports.ts";
import {
  type FailureCode,
  type FailureEvent,
  LOCK_FILE,
  type StopCommand,
  type TrainingTask,
  type WorkerEvent,
} from "./protocol.ts";

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

async function train({ kind, options, timings }: TrainingTask, signal: AbortSignal): Promise<void> {
  const folder = String(options.output);
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
    const onProgress = fewReports(send),
      preparing = { onPreparation: onProgress, timings: ofServer(timings) };
    const trainer = kind === "fine_tuning"
      ? await Trainer.finetune(gpu, chosenFinetuning({ options }), preparing)
      : await Trainer.pretrain(gpu, chosenPretraining({ options }), preparing);
    for await (const event of reportedRun(trainer, { signal, onProgress })) report(event);
  } finally {
    gpu.close();
  }
}

/** Tiles that the server remembers. */
function ofServer(known: TrainingTask["timings"] = {}): Timings {
  return {
    recall: (key) => known[key],
    remember: (key, tiles) => send({ type: "timings", key, tiles }),
  };
}

/** Sends an event to the server; if that is gone, the journal has it. */
function send(event: WorkerEvent): void {
  try {
    for (let line = jsonLine(event); line.length;) {
      line = line.subarray(Deno.stdout.writeSync(line));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

function fail(error: unknown): never {
  send(failureOf(error));
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
  if (code === "internal_error") console.error(stack ?? error);
  return {
    type: "failure",
    code,
    ...(error instanceof UserError ? error.explanation : { message }),
  };
}

if (isProgram(import.meta)) {
  // Ignored: Ctrl-C in the server's terminal reaches this process too, but the server decides.
  Deno.addSignalListener("SIGINT", () => {});
  const controller = new AbortController();
  const lines = readJsonLines<TrainingTask & StopCommand>(Deno.stdin.readable);
  const { value: task } = await lines.next();
  if (!task) Deno.exit(2);
  lines.next().then(() => controller.abort(), () => controller.abort());
  try {
    if (task.saveCheckpoint) await saveCheckpoint(task);
    else await train(task, controller.signal);
  } catch (error) {
    fail(error);
  }
  // Exit explicitly, because stdin is still being read.
  Deno.exit(0);
}

/** Shared by the training commands: opens a device and a trainer, and shows its events. */
import { dirname, join } from "../packages/std_path.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { spell } from "../options/phrase.ts";
import { launched, launcherWaits, launcherWords } from "../parallel/launch.ts";
import { openRanks } from "../parallel/open_ranks.ts";
import type { Ranks } from "../parallel/ranks.ts";
import { FLAGS } from "../options/spelling.ts";
import type {
  DoneEvent,
  FailedEvent,
  PreparationEvent,
  ProgressEvent,
  TrainingEvent,
  WarningEvent,
} from "../train/events.ts";
import type { WrittenReport } from "../report/report.ts";
import { reportedRun } from "../report/reported_run.ts";
import { fewReports } from "../train/few_reports.ts";
import type { Preparing, Trainer } from "../train/trainer.ts";
import { counted } from "../text.ts";
import { EXIT, type Io, type Stopping } from "./command.ts";
import { commandLine, resuming } from "./command_line.ts";
import { Progress } from "./progress.ts";
import { openGpu } from "./open_gpu.ts";

/** Runs a trainer to its end or an interruption; returns the exit code. */
export async function runTraining(
  create: (gpu: Gpu, preparing: Preparing) => Promise<Trainer>,
  io: Io,
): Promise<number> {
  const ranks = openedRanks(io), gpu = await openGpu(io);
  const progress = new Progress(io).start();
  progress.prepare("reading model and data");
  const show = (event: TrainingEvent) => {
    const shown = event.type === "warning" ? inFlags(event) : event;
    progress.handle(shown);
    io.event(shown);
    if (event.type === "done" && event.interrupted) afterStop(event, io);
    const lost = event.type === "failed" && whatIsLost(event);
    if (lost) io.log(lost);
  };
  const print = fewReports(io.event);
  const onPreparation = (event: PreparationEvent) => {
    progress.handle(event);
    print(event);
  };
  const onProgress = (event: ProgressEvent) => {
    progress.handle(event);
    // Of steps that do not take seconds, their own events are enough.
    if (event.phase !== "training" || event.part) print(event);
  };
  let trainer: Trainer | undefined, report: string | undefined, stopped = false;
  if (ranks.size > 1 && !launcherWaits()) io.log(LITTLE_TIME);
  const withdraw = io.describeStop(() => stopping(trainer, ranks));
  try {
    trainer = await create(gpu, { onPreparation, signal: io.signal, ranks });
    const running = { signal: io.signal, onProgress };
    const onReport = ({ html }: WrittenReport) => report = html;
    const isFirst = ranks.rank === 0;
    const run = isFirst ? reportedRun(trainer, { ...running, onReport }) : trainer.run(running);
    for await (const event of run) show(event);
    // One code for all: the launcher ends what goes on when one has another than 0.
    const asked = await ranks.gather(Uint8Array.of(Number(io.signal.aborted)));
    stopped = asked.some(([each]) => each === 1);
  } finally {
    withdraw();
    progress.stop();
    gpu.close();
    if (report !== undefined) io.log(`report: ${report}`);
  }
  // Whatever fails ends this process without it, and with this process the launcher ends the others.
  await ranks.close();
  return stopped ? EXIT.interrupted : EXIT.done;
}

/** Of the processes that a launcher started; rank 0 says for whom it waits, and not for ever. */
function openedRanks({ log, signal }: Io): Ranks {
  const launch = launched();
  if (launch?.rank !== 0) return openRanks();
  log(`waiting for all ${launch.size} processes`);
  return openRanks({ onWait: log, signal });
}

const LITTLE_TIME =
  "note: a second after Ctrl-C, Open MPI asks what it started to end, and kills it a second later, " +
  "which may be too soon to save: `kill -USR2 <mpirun>` waits as long as it takes, and " +
  "`mpirun --mca odls_base_sigkill_timeout 20 …` makes both 20 seconds";

/** How a stopped run goes on, and what can be done with what it has saved. */
function afterStop({ step, saved: { checkpoint } }: DoneEvent, io: Io): void {
  if (checkpoint === undefined) {
    return io.log("nothing is saved: it was stopped before its first step");
  }
  const run = dirname(checkpoint), command = (...words: string[]) => `  ${commandLine(words)}`;
  io.log(`saved: ${checkpoint}, after step ${step}. To go on:`);
  const launch = launched();
  io.log(`  ${resuming(io.args, launch && launcherWords(launch))}`);
  io.log("To try it as it is, and to save it as a model:");
  io.log(command("generate", "--model", run, "--prompt", "Once upon a time"));
  io.log(command("export", "--model", run, "--output", join(run, `model-${step}`)));
}

/** What a failed run could not save, where that also failed; undefined if nothing is lost. */
export function whatIsLost({ step, saved }: FailedEvent): string | undefined {
  const { checkpoint, checkpoint_step = 0 } = saved, lost = step - checkpoint_step;
  if (lost <= 0) return undefined;
  const steps = `${counted(lost, "step")} up to ${step} could not be saved`;
  return `${steps}: ${
    checkpoint ? `the newest checkpoint is ${checkpoint}` : "no checkpoint exists"
  }`;
}

/** What a stop does now, and what a second one would lose. */
function stopping(trainer: Trainer | undefined, { size }: Ranks): Stopping {
  if (!trainer) return { first: "nothing is trained yet" };
  if (size > 1) {
    // A launcher says the same to the others when one of them has died.
    return { first: "saving after this step, if all processes are there and the launcher waits" };
  }
  const { step, saved: { checkpoint, checkpoint_step = 0 } } = trainer;
  const left = checkpoint ? `the newest checkpoint is ${checkpoint}` : "no checkpoint exists";
  const lost = step - checkpoint_step;
  return {
    first: "saving before exit, after the step in progress",
    second: lost > 0
      ? `exit without saving: ${counted(lost, "step")} up to ${step} are lost; ${left}`
      : `exit: ${left}`,
  };
}

/** A warning with its options spelled as flags. */
function inFlags({ type, message, phrase = message }: WarningEvent): WarningEvent {
  return { type, message: spell(phrase, FLAGS) };
}

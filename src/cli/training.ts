/** Shared by the training commands: opens a device and a trainer, and shows its events. */
import { Gpu } from "../gpu/gpu.ts";
import { spell } from "../options/phrase.ts";
import { FLAGS } from "../options/spelling.ts";
import type { PreparationEvent, TrainingEvent, WarningEvent } from "../train/events.ts";
import type { Preparing, Trainer } from "../train/trainer.ts";
import { counted } from "../text.ts";
import { EXIT, type Io, type Stopping } from "./command.ts";
import { Progress } from "./progress.ts";

/** Runs a trainer to its end or an interruption; returns the exit code. */
export async function runTraining(
  create: (gpu: Gpu, preparing: Preparing) => Promise<Trainer>,
  io: Io,
): Promise<number> {
  const gpu = await Gpu.open();
  const progress = new Progress(io);
  const show = (event: TrainingEvent | PreparationEvent) => {
    const shown = event.type === "warning" ? inFlags(event) : event;
    progress.handle(shown);
    io.event(shown);
  };
  let trainer: Trainer | undefined;
  const withdraw = io.describeStop(() => stopping(trainer));
  try {
    trainer = await create(gpu, { onPreparation: show, signal: io.signal });
    for await (const event of trainer.run({ signal: io.signal })) show(event);
  } finally {
    withdraw();
    progress.stop();
    gpu.close();
  }
  return io.signal.aborted ? EXIT.interrupted : EXIT.done;
}

/** What a stop does now, and what a second one would lose. */
function stopping(trainer: Trainer | undefined): Stopping {
  if (!trainer) return { first: "nothing is trained yet" };
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

/** Shared by the training commands: opens a device and a trainer, and shows its events. */
import { Gpu } from "../gpu/gpu.ts";
import { spell } from "../options/phrase.ts";
import { FLAGS } from "../options/spelling.ts";
import type { PreparationEvent, TrainingEvent, WarningEvent } from "../train/events.ts";
import type { Preparing, Trainer } from "../train/trainer.ts";
import { EXIT, type Io } from "./command.ts";
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
  try {
    const trainer = await create(gpu, { onPreparation: show });
    for await (const event of trainer.run({ signal: io.signal })) show(event);
  } finally {
    progress.stop();
    gpu.close();
  }
  return io.signal.aborted ? EXIT.interrupted : EXIT.done;
}

/** A warning with its options spelled as flags. */
function inFlags({ type, message, phrase = message }: WarningEvent): WarningEvent {
  return { type, message: spell(phrase, FLAGS) };
}

/** What the commands that train share: a device, a trainer, its events shown as they come. */
import { Gpu } from "../gpu/gpu.ts";
import type { PreparationEvent, TrainingEvent } from "../train/events.ts";
import type { Preparing, Trainer } from "../train/trainer.ts";
import { EXIT, type Io } from "./command.ts";
import { Progress } from "./progress.ts";

/** Runs a trainer to its end, or to an interruption; returns the exit code. */
export async function runTraining(
  create: (gpu: Gpu, preparing: Preparing) => Promise<Trainer>,
  io: Io,
): Promise<number> {
  const gpu = await Gpu.open();
  const progress = new Progress(io);
  const tell = (event: TrainingEvent | PreparationEvent) => {
    progress.handle(event);
    io.event(event);
  };
  try {
    const trainer = await create(gpu, { onPreparation: tell });
    for await (const event of trainer.run({ signal: io.signal })) tell(event);
  } finally {
    progress.stop();
    gpu.close();
  }
  return io.signal.aborted ? EXIT.interrupted : EXIT.done;
}

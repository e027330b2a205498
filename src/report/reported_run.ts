/** A run that leaves its report: what the command line, the server and programs do alike. */
import { warningEvent } from "../train/run_figures.ts";
import type { TrainingEvent } from "../train/events.ts";
import type { Running, Trainer } from "../train/trainer.ts";
import { writeReport, type WrittenReport } from "./report.ts";

/** How a run is watched, and its report. */
export interface ReportedRunning extends Running {
  /** Called when the report is written, before the last event. */
  onReport?(report: WrittenReport): void;
}

/**
 * `trainer.run`, whose output folder has its report before the `done` or `failed` event comes. What
 * prevents the report is a `warning` and never ends the run. A run that is stopped ends at once,
 * without one: {@link writeReport} makes it of any folder.
 *
 * @example
 * ```ts
 * import { Gpu, reportedRun, Trainer } from "@deno-galore/trainer";
 *
 * using gpu = await Gpu.open();
 * const trainer = await Trainer.pretrain(gpu, {
 *   model: "llama_nano",
 *   data: ["texts/"],
 *   output: "runs/nano",
 *   steps: 200,
 * });
 * for await (const event of reportedRun(trainer)) {
 *   if (event.type === "done") console.log("see runs/nano/report.html");
 * }
 * ```
 */
export async function* reportedRun(
  trainer: Trainer,
  { onReport, ...running }: ReportedRunning = {},
): AsyncGenerator<TrainingEvent> {
  for await (const event of trainer.run(running)) {
    const ends = event.type === "failed" || event.type === "done" && !event.interrupted;
    if (ends) {
      try {
        const report = await writeReport(trainer.recipe.options.output);
        onReport?.(report);
      } catch (error) {
        yield warningEvent(`the run's report could not be written: ${(error as Error).message}`);
      }
    }
    yield event;
  }
}

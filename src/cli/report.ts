/** `report`: what a run has come to, as a page and as Markdown. */
import { z } from "../packages/zod.ts";
import { defineOptions, section } from "../options/schema.ts";
import { writeReport } from "../report/report.ts";
import { type Command, EXIT, type Io } from "./command.ts";

const options = defineOptions({
  fields: section("Run", {
    run: z.string().min(1).describe("output folder of a run, finished or not")
      .meta({ value: "dir" }),
  }),
});

export const report: Command = {
  name: "report",
  summary: "write the report of a run: curves, memory, refreshes, samples, options",
  details:
    "Writes report.html, one file, and report.md with its charts into the run's folder, as " +
    "training does at its end; also of a run that is in progress, was stopped or has failed.",
  examples: ["report runs/nano", "report --run runs/nano --json"],
  positional: "run",
  options,
  run,
};

async function run({ run: folder }: ReturnType<typeof options.parse>, io: Io): Promise<number> {
  const written = await writeReport(folder);
  for (const what of written.missing) io.log(`note: ${what}`);
  io.result(written, `${written.html}\n${written.markdown}`);
  return EXIT.done;
}

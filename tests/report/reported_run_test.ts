/** A run that leaves its report, whoever runs it. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { reportedRun, type ReportedRunning } from "../../src/report/reported_run.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { isThere } from "../../src/files/stat.ts";
import { gpuTest } from "../support.ts";
import { withWorkshop } from "../train/support.ts";

gpuTest(
  "the report is there before the run is done; what prevents it is a warning",
  async (gpu) => {
    await withWorkshop(async (workshop) => {
      const run = async (
        name: string,
        running?: ReportedRunning,
        before?: (page: string) => unknown,
      ) => {
        const options = workshop.options(name, { steps: 2, saveEvery: 0 });
        const page = join(options.output, "report.html"), events: TrainingEvent[] = [];
        for await (const event of reportedRun(await Trainer.pretrain(gpu, options), running)) {
          if (event.type === "plan") await before?.(page);
          events.push(event);
          // Whoever stops here has it.
          if (event.type === "done") assertEquals(await isThere(page), !before && !running?.signal);
        }
        return events;
      };
      const written: string[] = [];
      const events = await run("written", { onReport: ({ html }) => written.push(html) });
      assertEquals(written, [join(workshop.folder, "written", "report.html")]);
      assertEquals(events.filter(({ type }) => type === "warning"), []);
      assertStringIncludes(await Deno.readTextFile(written[0]), "2 of 2");

      // A file is where the charts would be.
      const prevented = await run(
        "prevented",
        {},
        (page) => Deno.writeTextFile(join(page, "..", "report"), ""),
      );
      const [warning, done] = prevented.slice(-2);
      assert(warning.type === "warning" && done.type === "done" && !done.interrupted);
      assertStringIncludes(warning.message, "the run's report could not be written");
      assert(await isThere(join(workshop.folder, "prevented", "model")));

      // One that is stopped ends at once.
      const stopped = await run("stopped", { signal: AbortSignal.abort() });
      assert(stopped.at(-1)?.type === "done");
    });
  },
);

gpuTest("a run that fails has a report of what it was", async (gpu) => {
  await withWorkshop(async (workshop) => {
    const options = workshop.options("failed", { steps: 4, lr: 1e30, warmupSteps: 0 });
    const types: string[] = [];
    const trainer = await Trainer.pretrain(gpu, options);
    await assertRejects(async () => {
      for await (const { type } of reportedRun(trainer)) types.push(type);
    });
    assertEquals(types.at(-1), "failed");
    assert(await isThere(join(options.output, "report.html")));
  });
});

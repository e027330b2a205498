/** Whatever ends a run, what it trained is on disk, and it says what. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { readCheckpoint } from "../../src/formats/checkpoint/reader.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { UserError } from "../../src/options/user_error.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import type { PretrainOptions } from "../../src/train/options.ts";
import { usualMinutes } from "../../src/train/saving.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { sharedGpu } from "../support.ts";
import { runTraining, trainingTest, withWorkshop } from "./support.ts";

const ADAMW = { optimizer: "adamw", evalShare: 0, saveEvery: 0, warmupSteps: 0 };

/** Trains; `each` may leave the loop by returning true, or throw. */
async function train(options: PretrainOptions, each: (event: TrainingEvent) => unknown) {
  const trainer = await Trainer.pretrain(await sharedGpu(), options);
  const events: TrainingEvent[] = [];
  let error: unknown;
  try {
    for await (const event of trainer.run()) {
      events.push(event);
      if (await each(event) === true) break;
    }
  } catch (thrown) {
    error = thrown;
  }
  return { events, error, saved: trainer.saved, step: trainer.step };
}

const isStep = (step: number) => (event: TrainingEvent) =>
  event.type === "step" && event.step === step;

async function assertWhole(path: string | undefined, step: number) {
  assert(path);
  const checkpoint = await readCheckpoint(path);
  await checkpoint.verify();
  assertEquals(checkpoint.step, step);
}

trainingTest(
  "a run says at its end what is saved where, also when it is stopped",
  () =>
    withWorkshop(async ({ options }) => {
      const own = options("run", { ...ADAMW, steps: 4 }), { output } = own;
      const checkpoint = join(output, "checkpoint-4");
      const done = (await runTraining(own)).events.at(-1);
      assert(done?.type === "done" && !done.interrupted);
      assertEquals(done.saved, { checkpoint, checkpoint_step: 4, model: join(output, "model") });
      // The lock leaves no trace.
      assertEquals([...Deno.readDirSync(output)].map(({ name }) => name).sort(), [
        "checkpoint-4",
        "metrics.jsonl",
        "model",
        "run.json",
        "summary.json",
      ]);
      const stopped = options("stopped", { ...ADAMW, steps: 400 });
      const last = (await runTraining(stopped, { until: 2 })).events.at(-1);
      assert(last?.type === "done" && last.interrupted);
      assertEquals(last.saved.checkpoint_step, last.step);
      await assertWhole(last.saved.checkpoint, last.step);
      const early = (await runTraining(options("early", ADAMW), { until: 0 })).events.at(-1);
      assert(early?.type === "done");
      assertEquals([early.step, early.saved], [0, {}]);
    }),
);

trainingTest(
  "leaving the loop saves: by break, and by an error of whoever reads the events",
  () =>
    withWorkshop(async ({ options }) => {
      const own = (name: string) => options(name, { ...ADAMW, steps: 400 });
      const left = await train(own("left"), isStep(2));
      assertEquals(left.error, undefined);
      await assertWhole(left.saved.checkpoint, left.step);
      const failed = await train(own("failed"), (event) => {
        if (isStep(2)(event)) throw new Error("the display broke");
      });
      assertEquals((failed.error as Error).message, "the display broke");
      await assertWhole(failed.saved.checkpoint, failed.step);
      // All its steps are in metrics.jsonl, also those that were not reported any more.
      const text = await Deno.readTextFile(join(own("failed").output, "metrics.jsonl"));
      assertEquals(text.trim().split("\n").length, failed.step);
      // After the last step it is a model.
      const short = await train(options("short", { ...ADAMW, steps: 3 }), isStep(3));
      assertEquals(short.saved.model, join(options("short").output, "model"));
    }),
);

trainingTest(
  "a lost device: the run names the checkpoint that there is",
  () =>
    withWorkshop(async ({ options }) => {
      const own = options("run", { ...ADAMW, steps: 400, saveEvery: 2 });
      const gpu = await Gpu.open(), trainer = await Trainer.pretrain(gpu, own);
      const events: TrainingEvent[] = [];
      await assertRejects(async () => {
        for await (const event of trainer.run()) {
          events.push(event);
          if (event.type === "checkpoint") gpu.device.destroy();
        }
      }, UserError);
      const failed = events.at(-1);
      assert(failed?.type === "failed");
      const saved = events.filter((event) => event.type === "checkpoint").at(-1)!;
      assertEquals(failed.saved, { checkpoint: saved.path, checkpoint_step: saved.step });
      await assertWhole(saved.path, saved.step);
      gpu.close();
      // The folder is free again.
      await runTraining({ ...own, steps: saved.step + 1, resume: "latest" });
    }),
);

Deno.test("small checkpoints are saved every minute, large ones more rarely", () => {
  assertEquals([13e6, 100e6, 450e6, 12e9].map(usualMinutes), [1, 1, 4.5, 10]);
});

trainingTest(
  "checkpoints by minutes, whatever the steps",
  () =>
    withWorkshop(async ({ options }) => {
      const run = async (name: string, saveMinutes: number) => {
        const own = options(name, { ...ADAMW, steps: 30, saveMinutes });
        const { events } = await runTraining(own);
        return events.filter(({ type }) => type === "checkpoint").length;
      };
      // A save of this model takes some 10 ms, of which 20 are 0.2 s.
      assert(await run("often", 1e-6) > 1);
      assertEquals(await run("never", 0), 1);
      assertEquals(
        await Deno.readFile(join(options("often").output, "model/model.safetensors")),
        await Deno.readFile(join(options("never").output, "model/model.safetensors")),
      );
    }),
);

trainingTest(
  "of two runs into one folder the second is refused before it loads anything",
  () =>
    withWorkshop(async ({ options }) => {
      const own = options("run", { ...ADAMW, data: ["nowhere.txt"] });
      const gpu = await Gpu.open(), second = await Gpu.open();
      const first = await Trainer.pretrain(gpu, options("run", ADAMW));
      const error = await assertRejects(() => Trainer.pretrain(second, own), UserError);
      assertEquals(error.message, `${own.output} is in use: this process already writes there`);
      first.close();
      await assertRejects(() => Trainer.pretrain(second, own), UserError, "nowhere.txt");
      // What fails before it begins leaves no folder behind.
      const other = options("other", { ...ADAMW, data: ["nowhere.txt"] });
      await assertRejects(() => Trainer.pretrain(second, other), UserError, "nowhere.txt");
      await assertRejects(() => Deno.stat(other.output), Deno.errors.NotFound);
      second.close();
      // A trainer that never ran ends with its device.
      await Trainer.pretrain(gpu, options("run", ADAMW));
      gpu.close();
      await gpu.device.lost;
      await runTraining(options("run", { ...ADAMW, steps: 1 }));
    }),
);

trainingTest(
  "a stop while the run is prepared ends that at once",
  () =>
    withWorkshop(async ({ folder, options }) => {
      const pipe = join(folder, "pipe.txt"), controller = new AbortController();
      const made = await new Deno.Command("mkfifo", { args: [pipe] }).output().catch(() =>
        undefined
      );
      if (!made?.success) return; // not on this system
      const gpu = await sharedGpu(), own = options("run", { ...ADAMW, data: [pipe] });
      const opening = Trainer.pretrain(gpu, own, { signal: controller.signal });
      setTimeout(() => controller.abort(new DOMException("stop", "AbortError")), 200);
      await assertRejects(() => opening, DOMException, "stop");
      // Nobody waits for the pipe any more; its reader is to end, too.
      await Deno.writeTextFile(pipe, "text");
    }),
);

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import type { StepEvent, TrainingEvent } from "../../src/train/events.ts";
import type { PretrainOptions } from "../../src/train/options.ts";
import { pretrainRecipe } from "../../src/train/pretrain_recipe.ts";
import type { Recipe } from "../../src/train/recipe.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { sharedGpu } from "../support.ts";
import { runTraining, trainingTest, withWorkshop } from "./support.ts";

const steps = (events: TrainingEvent[]) =>
  events.filter((event): event is StepEvent => event.type === "step");

trainingTest(
  "a run learns, and leaves metrics, a summary, checkpoints and a model",
  () =>
    withWorkshop(async ({ options }) => {
      const run = options("run", { steps: 40, lr: 0.02, evalEvery: 20, saveEvery: 10 });
      const { events } = await runTraining(run);
      const lines = steps(events);
      assertEquals(lines.map(({ step }) => step), Array.from({ length: 40 }, (_, i) => i + 1));
      // Uniform over 257 ids is 5.549 nats; letters alone are about 3.3.
      assert(Math.abs(lines[0].loss - Math.log(257)) < 0.1, `first loss ${lines[0].loss}`);
      assert(lines.at(-1)!.loss < 4.2, `last loss ${lines.at(-1)!.loss}`);
      const file = (await Deno.readTextFile(join(run.output, "metrics.jsonl"))).trim().split("\n");
      assertEquals(file.map((line) => JSON.parse(line).step), lines.map(({ step }) => step));
      assertEquals(file.filter((line) => "eval_loss" in JSON.parse(line)).length, 2);
      const summary = JSON.parse(await Deno.readTextFile(join(run.output, "summary.json")));
      assertEquals(summary.tokens, 40 * 3 * 24);
      assertEquals(summary.final_loss, lines.at(-1)!.loss);
      // 14 projection matrices, every second step.
      assertEquals(summary.subspace_refreshes_fixed_interval, 14 * 20);
      assert(summary.subspace_refreshes < summary.subspace_refreshes_fixed_interval);
      const names = [...Deno.readDirSync(run.output)].map(({ name }) => name);
      assertEquals(names.filter((name) => name.startsWith("checkpoint-")).sort(), [
        "checkpoint-30",
        "checkpoint-40",
      ]);
    }),
);

trainingTest(
  "an evaluation is cut short by a stop, and made up for after the resume",
  () =>
    withWorkshop(async ({ options }) => {
      const run = options("run", { steps: 2, saveEvery: 0 });
      const first = await runUntilEvaluation(run);
      assert(events({ events: first }).interrupted);
      assertEquals(steps(first).map(({ step, eval_loss }) => [step, eval_loss]), [
        [1, undefined],
        [2, undefined],
      ]);
      const second = await runTraining({ ...run, resume: "auto" });
      assertEquals(steps(second.events), []);
      const evaluation = second.events.find((event) => event.type === "eval")!;
      assertEquals(evaluation.step, 2);
      const whole = await runTraining(options("whole", { steps: 2 }));
      assertEquals(evaluation.eval_loss, steps(whole.events).at(-1)!.eval_loss);
    }),
);

trainingTest(
  "a run that is stopped and resumed gives the bits of the undisturbed one",
  () =>
    withWorkshop(async ({ options }) => {
      await runTraining(options("whole"));
      const broken = options("broken");
      const first = await runTraining(broken, { until: 4 });
      assert(events(first).interrupted);
      // Several steps may be in progress when the fourth is reported: the last of them is saved.
      const saved = first.events.filter((event) => event.type === "checkpoint").at(-1);
      assertEquals(saved?.step, steps(first.events).at(-1)!.step);
      await runTraining({ ...broken, resume: "auto" });
      assertEquals(
        await Deno.readFile(join(broken.output, "model/model.safetensors")),
        await Deno.readFile(join(options("whole").output, "model/model.safetensors")),
      );
      const losses = async (name: string) =>
        (await Deno.readTextFile(join(options(name).output, "metrics.jsonl"))).trim().split("\n")
          .map((line) => JSON.parse(line)).map((
            { step, loss, lr, tokens },
          ) => [step, loss, lr, tokens]);
      assertEquals(await losses("broken"), await losses("whole"));
    }),
);

/** Stops the run when the first batch of an evaluation has been read. */
async function runUntilEvaluation(options: PretrainOptions): Promise<TrainingEvent[]> {
  const gpu = await sharedGpu(), controller = new AbortController();
  const recipe = await pretrainRecipe(options);
  const trainer = await Trainer.open(gpu, {
    ...recipe,
    async openEvaluation() {
      const batches = await recipe.openEvaluation();
      controller.abort();
      return batches;
    },
  });
  return await Array.fromAsync(trainer.run({ signal: controller.signal }));
}

function events({ events }: { events: TrainingEvent[] }) {
  const done = events.at(-1)!;
  assert(done.type === "done");
  return done;
}

trainingTest(
  "a checkpoint of another run is refused with what differs",
  () =>
    withWorkshop(async ({ options }) => {
      await runTraining(options("run", { steps: 1 }));
      await assertRejects(
        () => runTraining(options("run", { rank: 8, resume: "auto" })),
        UserError,
        "rank was 16, is 8",
      );
      await assertRejects(() => runTraining(options("run")), UserError, "already holds a run");
    }),
);

trainingTest(
  "a loss that is not finite stops the run and keeps the last good checkpoint",
  () =>
    withWorkshop(async ({ options }) => {
      const good = options("run", { steps: 2, saveEvery: 2 });
      await runTraining(good);
      const entries = join(good.output, "checkpoint-2/entries.bin");
      const before = await Deno.readFile(entries);
      const diverging = options("run", { steps: 20, saveEvery: 1, lr: 1e30, resume: "auto" });
      await assertRejects(
        () => runTraining(diverging),
        UserError,
        `the last good checkpoint is ${join(good.output, "checkpoint-")}`,
      );
      assertEquals(await Deno.readFile(entries), before);
    }),
);

trainingTest(
  "a resumed run calls its recipe's start as well, which may write what no checkpoint has",
  () =>
    withWorkshop(async ({ options }) => {
      const gpu = await sharedGpu(), resumed: unknown[] = [];
      for (const change of [{ steps: 1 }, { steps: 2, resume: "auto" }]) {
        const recipe = await pretrainRecipe(options("run", change));
        const start: Recipe["start"] = (gpu, training, onPreparation, again) => {
          resumed.push(again);
          return recipe.start(gpu, training, onPreparation, again);
        };
        using trainer = await Trainer.open(gpu, { ...recipe, start });
        await Array.fromAsync(trainer.run());
      }
      assertEquals(resumed, [false, true]);
    }),
);

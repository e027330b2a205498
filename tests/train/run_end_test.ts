/** How runs end: without held-out data, after a failure, early, diverging, and with the best model. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { ENTRIES_FILE } from "../../src/formats/checkpoint/manifest.ts";
import { IGNORED } from "../../src/model/batch.ts";
import { spell } from "../../src/options/phrase.ts";
import { FLAGS } from "../../src/options/spelling.ts";
import { UserError } from "../../src/options/user_error.ts";
import { BestEvaluation } from "../../src/train/best_evaluation.ts";
import { saveCheckpointModel } from "../../src/train/checkpoint_model.ts";
import type { ProgressEvent, TrainingEvent } from "../../src/train/events.ts";
import { assertRoom, runBytes } from "../../src/train/disk.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { LossWatch } from "../../src/train/loss_watch.ts";
import type { PretrainOptions } from "../../src/train/options.ts";
import { pretrainRecipe } from "../../src/train/pretrain_recipe.ts";
import type { Recipe } from "../../src/train/recipe.ts";
import { isDue, runNotes } from "../../src/train/run_notes.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { sharedGpu } from "../support.ts";
import { runTraining, trainingTest, withWorkshop } from "./support.ts";

const ADAMW = { optimizer: "adamw", evalShare: 0, saveEvery: 0 };

/** Its events and progress, and the error that ended it. */
async function run(options: PretrainOptions, change: (recipe: Recipe) => Partial<Recipe>) {
  const gpu = await sharedGpu(), events: TrainingEvent[] = [], progress: ProgressEvent[] = [];
  const onProgress = (event: ProgressEvent) => void progress.push(event);
  let error: unknown;
  try {
    const recipe = await pretrainRecipe(options);
    const trainer = await Trainer.open(gpu, { ...recipe, ...change(recipe) });
    for await (const event of trainer.run({ onProgress })) events.push(event);
  } catch (thrown) {
    error = thrown;
  }
  return { events, progress, error };
}

const warnings = (events: readonly TrainingEvent[]) =>
  events.filter((event) => event.type === "warning").map(({ message }) => message);
const steps = (events: readonly TrainingEvent[]) => events.filter((event) => event.type === "step");
function summaryOf(events: readonly TrainingEvent[]) {
  const done = events.at(-1)!;
  assert(done.type === "done");
  return done.summary;
}
const exists = (...path: string[]) => Deno.stat(join(...path)).then(() => true, () => false);

trainingTest(
  "without held-out data a run ends with its model, and says what has no effect",
  () =>
    withWorkshop(async ({ options }) => {
      const own = options("run", {
        ...ADAMW,
        saveMinutes: 0,
        evalEvery: 2,
        keepCheckpoints: 3,
        warmupSteps: 0,
      });
      const { events } = await runTraining(own);
      assertEquals(summaryOf(events).eval_loss, undefined);
      assert(await exists(own.output, "model/model.safetensors"));
      assertEquals(warnings(events), [
        "evalEvery: 2 has no effect: nothing is held out",
        "keepCheckpoints: 3 has no effect: only one checkpoint is saved, at the end of the run",
      ]);
    }),
);

trainingTest(
  "a share that holds nothing out is told before the first step",
  () =>
    withWorkshop(async ({ folder, options }) => {
      const data = join(folder, "short.jsonl"), text = "All the world's a stage. ".repeat(20);
      await Deno.writeTextFile(data, JSON.stringify({ text }) + "\n");
      const change = { ...ADAMW, data: [data], evalShare: 1e-6, steps: 2, warmupSteps: 0 };
      const { events } = await runTraining(options("run", change));
      const [warning] = warnings(events);
      assert(warning.startsWith("the held-out share of 0.000001 contains no text"), warning);
      assert(
        events.findIndex(({ type }) => type === "warning") <
          events.findIndex(({ type }) => type === "step"),
      );
      await assertRejects(
        () => runTraining(options("best", { ...change, evalEvery: 1, loadBestModelAtEnd: true })),
        UserError,
        "loadBestModelAtEnd needs evaluations, but nothing is held out",
      );
    }),
);

trainingTest(
  "evaluation data without its text is refused before the first step",
  () =>
    withWorkshop(async ({ folder, options }) => {
      const evalData = join(folder, "held_out.jsonl");
      await Deno.writeTextFile(evalData, '{"content": "To be"}\n');
      const { events, error } = await run(
        options("run", { optimizer: "adamw", evalData: [evalData], evalShare: undefined }),
        () => ({}),
      );
      assert(
        error instanceof UserError && error.message.includes('has no field "text"'),
        `${error}`,
      );
      assertEquals(events, []);
    }),
);

trainingTest(
  "an evaluation that fails after the last step leaves checkpoint, model and all figures",
  () =>
    withWorkshop(async ({ options }) => {
      const own = options("run", { optimizer: "adamw", saveEvery: 0 });
      const { events, error } = await run(own, () => ({
        openEvaluation: () => Promise.reject(new UserError("the disk is gone")),
      }));
      assertEquals((error as Error).message, "the disk is gone");
      assertEquals(steps(events).at(-1)?.step, 6);
      assert(await exists(own.output, "checkpoint-6/manifest.json"));
      assert(await exists(own.output, "model/model.safetensors"));
      // The evaluation is done when the run is resumed.
      const { events: resumed } = await runTraining({ ...own, resume: "auto" });
      assertEquals(resumed.find(({ type }) => type === "eval")?.type, "eval");
      assert(summaryOf(resumed).eval_loss! > 0);
    }),
);

trainingTest(
  "a sample that fails in the middle of a run leaves a checkpoint",
  () =>
    withWorkshop(async ({ options }) => {
      const own = options("run", { ...ADAMW, evalEvery: 2, samplePrompt: ["x"], sampleTokens: 2 });
      const { error } = await run(own, ({ tokenizer }) => ({
        tokenizer: Object.assign(Object.create(tokenizer), {
          decode: () => {
            throw new Error("no decoder");
          },
        }),
      }));
      assertEquals((error as Error).message, "no decoder");
      assert(await exists(own.output, "checkpoint-2/manifest.json"));
      assert(!await exists(own.output, "model"));
    }),
);

trainingTest(
  "data that fails in the middle of a step leaves the steps before it; a resume gives the same bits",
  () =>
    withWorkshop(async ({ options }) => {
      const change = { ...ADAMW, gradientAccumulation: 2, warmupSteps: 1 };
      await runTraining(options("whole", change));
      const own = options("run", change);
      let taken = 0;
      const { events, error } = await run(own, ({ openData }) => ({
        async openData(...args) {
          const data = await openData(...args), { batches } = data;
          return {
            ...data,
            batches: Object.assign(Object.create(batches), {
              // The second batch of step 4.
              next: () =>
                ++taken === 8 ? Promise.reject(new UserError("a broken line")) : batches.next(),
              position: () => batches.position(),
            }),
          };
        },
      }));
      assertEquals((error as Error).message, "a broken line");
      assertEquals(steps(events).map(({ step }) => step), [1, 2, 3]);
      assert(await exists(own.output, "checkpoint-3/manifest.json"));
      await runTraining({ ...own, resume: "auto" });
      const weights = (name: string) =>
        Deno.readFile(join(options(name).output, "model/model.safetensors"));
      assertEquals(await weights("run"), await weights("whole"));
    }),
);

Deno.test("what a run says of its steps once their number is known", () => {
  const base = { model: "m", data: ["d"], output: "o" };
  const notes = (given: Record<string, unknown>, steps: number, warmupSteps = 0) =>
    runNotes(finetuneOptions.parse({ ...base, ...given }), { steps, warmupSteps })
      .map((note) => spell(note, FLAGS));
  assertEquals(notes({}, 5), []);
  assertEquals(notes({ warmupSteps: 100, lr: 0.1 }, 40, 100), [
    "a warm-up of 100 steps is longer than the run of 40: the learning rate never reaches --lr 0.1 " +
    "(set --warmup-steps)",
  ]);
  assertEquals(notes({ saveMinutes: 0, evalEvery: 50, saveEvery: 60, keepCheckpoints: 3 }, 40), [
    "--eval-every 50 is longer than the run of 40 steps: the model is evaluated only at its end",
    "--save-every 60 is longer than the run of 40 steps: only one checkpoint is saved, at its end",
    "--keep-checkpoints 3 has no effect: only one checkpoint is saved, at the end of the run",
  ]);
  assertEquals(notes({ evalEvery: "epoch", saveEvery: 20, keepCheckpoints: 1 }, 40), []);
  assertEquals(notes({ saveEvery: 60, keepCheckpoints: 3 }, 40), [
    "--save-every 60 is longer than the run of 40 steps: checkpoints are saved as --save-minutes " +
    "says, and at its end",
  ]);
});

Deno.test("a run needs room for its checkpoints while one more is written, and its result", async () => {
  const plan = { checkpointBytes: 10, resultBytes: 3 };
  assertEquals(runBytes(plan, { saves: 1, keep: 2 }), 13);
  assertEquals(runBytes(plan, { saves: 9, keep: 2 }), 33);
  const options = finetuneOptions.parse({ model: "m", data: ["d"], output: "." });
  await assertRoom(options, { steps: 5 }, plan);
  const error = await assertRejects(
    () => assertRoom(options, { steps: 5 }, { checkpointBytes: 2 ** 60, resultBytes: 2 ** 30 }),
    UserError,
  );
  assert(/^output: "\.": .* of the disk are free, but the run will need/.test(error.message));
});

trainingTest(
  "a run that diverges says so, while it runs and in its summary",
  () =>
    withWorkshop(async ({ options }) => {
      const change = { ...ADAMW, steps: 40, warmupSteps: 0, scheduler: "constant" };
      const bad = await runTraining(options("bad", { ...change, lr: 1 }));
      const { first_loss, final_loss, diverged } = summaryOf(bad.events);
      assert(diverged && final_loss > first_loss! + 1, `${first_loss} → ${final_loss}`);
      assertEquals(steps(bad.events)[0].loss, first_loss);
      const [during, end] = warnings(bad.events);
      assert(/^step \d+: the loss stays above where it began: .*lower lr/.test(during), during);
      assert(end.startsWith("the loss ended above where it began"), end);
      const good = await runTraining(options("good", { ...change, lr: 0.003 }));
      assertEquals([summaryOf(good.events).diverged, warnings(good.events)], [undefined, []]);
    }),
);

Deno.test("once per epoch: in the step that reads a pass's last example", () => {
  // 10 rows, of which a step reads 3.
  const due = Array.from({ length: 20 }, (_, i) => i + 1)
    .filter((step) => isDue(step, "epoch", 10 / 3));
  assertEquals(due, [4, 7, 10, 14, 17, 20]);
  assertEquals([1, 2, 3].filter((step) => isDue(step, "epoch", 1)), [1, 2, 3]);
  assertEquals([3, 4, 8].filter((step) => isDue(step, 4, 10 / 3)), [4, 8]);
});

Deno.test("a noisy loss is no alarm, and one that only rises at last is one", () => {
  const noisy = new LossWatch();
  // The first batch is an easy one; the mean of the others is 2.
  const losses = Array.from({ length: 200 }, (_, i) => 2 + Math.sin(12.9898 * i) * 0.9);
  assertEquals([1.4, ...losses].filter((loss) => noisy.add(loss)).length, 0);
  const late = new LossWatch();
  const falling = Array.from({ length: 50 }, (_, i) => 5 - i / 25);
  const rising = Array.from({ length: 50 }, (_, i) => 3 + i / 5);
  assertEquals([...falling, ...rising].filter((loss) => late.add(loss)).length, 1);
  assert(late.isAbove);
});

/** transformers 5.17, `EarlyStoppingCallback` and `_determine_best_metric`, by hand. */
Deno.test("early stopping counts evaluations as transformers does", () => {
  const losses = [3, 2.5, 2.45, 2.46, 2.2, 2.3, 2.25, 2.19];
  const best = new BestEvaluation({ earlyStoppingPatience: 3, earlyStoppingThreshold: 0.1 });
  const seen = losses.map((loss, i) => [
    best.record(i + 1, loss),
    best.state!.step,
    best.state!.stale,
    best.exhausted,
  ]);
  assertEquals(seen, [
    [true, 1, 0, false],
    [true, 2, 0, false],
    [true, 3, 1, false], // lower, but by less than the threshold
    [false, 3, 2, false],
    [true, 5, 0, false],
    [false, 5, 1, false],
    [false, 5, 2, false],
    [true, 8, 3, true],
  ]);
});

/** A recipe whose held-out loss is lowest after step 2: each pass is one fixed batch. */
function overfitting(options: PretrainOptions): Partial<Recipe> {
  let passes = 0;
  return {
    openEvaluation: () => {
      // Random targets are predicted worse the more a model has learned to be sure.
      const random = passes++ !== 0, size = options.batchSize * options.seqLen;
      const inputs = new Uint32Array(size).fill(32), targets = new Int32Array(size).fill(IGNORED);
      for (let i = 0; i < size; i++) targets[i] = random ? (i * 7) % 256 : 32;
      return Promise.resolve((async function* () {
        yield { inputs, targets, tokens: size };
      })());
    },
  };
}

trainingTest(
  "early stopping ends a run, whose saved model is the best; a resume trains no further",
  () =>
    withWorkshop(async ({ folder, options }) => {
      const own = options("run", {
        optimizer: "adamw",
        steps: 40,
        evalEvery: 2,
        saveEvery: 0,
        keepCheckpoints: 1,
        loadBestModelAtEnd: true,
        earlyStoppingPatience: 3,
      });
      const { events, progress } = await run(own, () => overfitting(own));
      const { size } = await Deno.stat(join(own.output, "checkpoint-2", ENTRIES_FILE));
      for (const phase of ["checking the best model", "loading the best model"]) {
        const { done, total } = progress.filter((event) => event.phase === phase).at(-1)!;
        assertEquals([done, total], [size, size], phase);
      }
      const summary = summaryOf(events);
      assertEquals([summary.best_step, summary.stopped_early_at], [2, 8]);
      assertEquals(steps(events).at(-1)!.step, 8);
      assertEquals(summary.eval_loss, summary.best_eval_loss);
      // The newest checkpoint, and the best.
      const found = await Array.fromAsync(Deno.readDir(own.output), ({ name }) => name);
      assertEquals(found.filter((name) => name.startsWith("checkpoint-")).toSorted(), [
        "checkpoint-2",
        "checkpoint-8",
      ]);
      const weights = (at: string) => Deno.readFile(join(at, "model/model.safetensors"));
      const model = await weights(own.output);
      const resume = join(own.output, "checkpoint-2"), output = join(folder, "second");
      await saveCheckpointModel(await sharedGpu(), { pretrain: { ...own, resume, output } });
      assertEquals(model, await weights(output));

      await Deno.remove(join(own.output, "model"), { recursive: true });
      const again = await run({ ...own, resume: "auto" }, () => overfitting(own));
      assertEquals(steps(again.events), []);
      assertEquals(await weights(own.output), model);
      assertEquals(summaryOf(again.events).best_step, 2);
    }),
);

trainingTest(
  "a longer run resumes with the rate where it was, and the same bits when stopped again",
  () =>
    withWorkshop(async ({ options }) => {
      const change = { optimizer: "adamw", lr: 0.01, evalShare: 0 };
      await runTraining(options("run", { ...change, steps: 10, warmupSteps: 1 }));
      for await (const { name } of Deno.readDir(options("run").output)) {
        if (name !== "checkpoint-10") continue;
        await Deno.mkdir(options("twice").output, { recursive: true });
        await copyFolder(join(options("run").output, name), join(options("twice").output, name));
      }
      const longer = (name: string) =>
        options(name, { ...change, steps: 30, warmupSteps: 3, resume: "auto", saveEvery: 0 });
      const { events } = await runTraining(longer("run"));
      const rates = new Map(steps(events).map(({ step, lr }) => [step, lr]));
      // The floor of the earlier schedule, a tenth of the peak, then linearly over three steps.
      assertAlmostEquals(rates.get(11)!, 0.001, 1e-9);
      const cosine = (done: number) =>
        0.001 + 0.009 * (1 + Math.cos(Math.PI * (done - 3) / 27)) / 2;
      assertAlmostEquals(rates.get(14)!, cosine(13), 1e-9);
      for (let step = 12; step <= 30; step++) {
        assert(Math.abs(rates.get(step)! - rates.get(step - 1)!) < 0.003, `step ${step}`);
      }
      const message = warnings(events).find((text) => text.includes("steps was 10, is 30"));
      assert(message?.includes("the learning rate starts from 0.001"), message);
      const plan = events.find((event) => event.type === "plan");
      assertEquals(plan?.resumed_from, join(options("run").output, "checkpoint-10"));

      const other = options("twice", { ...change, steps: 10, weightDecay: 0.1, resume: "auto" });
      assertEquals(warnings((await runTraining(other)).events), [
        "the run is resumed with other options: weightDecay was 0, is 0.1",
      ]);

      await runTraining(longer("twice"), { until: 13 });
      const second = await runTraining(longer("twice"));
      assertEquals(warnings(second.events), []);
      const weights = (name: string) =>
        Deno.readFile(join(options(name).output, "model/model.safetensors"));
      assertEquals(await weights("twice"), await weights("run"));
    }),
);

trainingTest(
  "refreshes are counted in the step that makes them, where steps are read together",
  () =>
    withWorkshop(async ({ options }) => {
      const { events } = await runTraining(
        options("run", { updateProjGap: 3, gammaProj: 1, steps: 8, evalShare: 0, saveEvery: 0 }),
      );
      // 7 projections in each of 2 layers, in steps 1, 4 and 7.
      assertEquals(
        steps(events).map(({ subspace_refreshes }) => subspace_refreshes),
        [14, 14, 14, 28, 28, 28, 42, 42],
      );
    }),
);

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) {
    await Deno.copyFile(join(from, name), join(to, name));
  }
}

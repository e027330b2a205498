/** Steps that are stopped within: what they leave, and that the pace changes no bit. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { StepEvent } from "../../src/train/events.ts";
import { crossEntropyObjective, type Objective } from "../../src/train/objective.ts";
import type { PretrainOptions } from "../../src/train/options.ts";
import { pretrainRecipe } from "../../src/train/pretrain_recipe.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { sharedGpu } from "../support.ts";
import { runTraining, trainingTest, withWorkshop } from "./support.ts";

const OWN = { evalShare: 0, saveEvery: 0, warmupSteps: 0, steps: 5, gradientAccumulation: 2 };

/** Recorded before the first step, to find what is to be compiled: two steps of two. */
const REHEARSED = 4;

/** Cross-entropy that calls `hook` with the number of each micro-batch that is recorded. */
function hooked(hook: (microBatch: number) => void): Objective {
  let count = -REHEARSED;
  return {
    ...crossEntropyObjective,
    build(...args) {
      const submit = crossEntropyObjective.build(...args);
      return (...given) => {
        submit(...given);
        hook(count++);
      };
    },
  };
}

/** Runs, stopped when a micro-batch is recorded but not yet given to the GPU. */
async function stoppedAt(options: PretrainOptions, microBatch: number) {
  const gpu = await sharedGpu(), controller = new AbortController();
  const recipe = await pretrainRecipe(options);
  const objective = hooked((each) => {
    if (each === microBatch) controller.abort();
  });
  const trainer = await Trainer.open(gpu, { ...recipe, objective });
  const events = await Array.fromAsync(trainer.run({ signal: controller.signal }));
  const done = events.at(-1)!;
  assert(done.type === "done");
  return done;
}

const model = (options: PretrainOptions) =>
  Deno.readFile(join(options.output, "model/model.safetensors"));

trainingTest(
  "a step that is stopped within leaves the step before it, and a resume gives the same bits",
  () =>
    withWorkshop(async ({ options }) => {
      // With a signal its first steps are given at the GPU's pace, without one none is.
      const own = options("own", { ...OWN, saveEvery: 2, keepCheckpoints: 5 });
      const { events } = await runTraining(own);
      const reported = (step: number) =>
        events.find((each) => each.type === "step" && each.step === step) as StepEvent;
      const whole = await model(own), plain = options("plain", OWN);
      await Array.fromAsync((await Trainer.pretrain(await sharedGpu(), plain)).run());
      assertEquals(await model(plain), whole);

      // Stopped before anything was saved.
      const first = await stoppedAt(options("first", OWN), 1);
      assertEquals([first.interrupted, first.step, first.saved], [true, 0, {}]);

      // In the step after a checkpoint, which refreshes subspaces: before anything has changed, and in
      // the second micro-batch, when they have.
      const resume = join(own.output, "checkpoint-2");
      for (const microBatch of [0, 1]) {
        const done = await stoppedAt({ ...own, resume }, microBatch);
        assertEquals([done.step, done.saved], [2, { checkpoint: resume, checkpoint_step: 2 }]);
        assertEquals(done.summary.subspace_refreshes, reported(2).subspace_refreshes);
      }
      await runTraining({ ...own, resume });
      assertEquals(await model(own), whole);
    }),
);

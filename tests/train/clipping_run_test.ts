/** Runs that clip gradients: their norms in the metrics, resumes, and norms that are not finite. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { pretrainRecipe } from "../../src/train/pretrain_recipe.ts";
import type { Recipe } from "../../src/train/recipe.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { download, sharedGpu } from "../support.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import { runTraining, trainingTest, withWorkshop } from "./support.ts";

for (const gradientAccumulation of [1, 2]) {
  trainingTest(
    `a resumed run clips as its checkpoint does, ${gradientAccumulation} batches to a step`,
    () =>
      withWorkshop(async ({ options }) => {
        const usual = { optimizer: "adamw", steps: 3, gradientAccumulation };
        const clips = { ...usual, maxGradNorm: 0.5 };
        const whole = options("whole", clips), broken = options("broken", clips);
        const { events: [plan, note, ...rest], account } = await runTraining(whole);
        assert(plan.type === "plan" && note.type === "warning");
        assertEquals(plan.planned_peak_bytes, account.peak);
        assert(note.message.startsWith("maxGradNorm: 0.5 clips "), note.message);
        assertEquals(/by its own norm/.test(note.message), gradientAccumulation === 1);
        const norms = rest.flatMap((event) => event.type === "step" ? [event.grad_norm!] : []);
        assert(norms.length === 3 && norms.every((norm) => norm > 0.5), `${norms}`);

        await runTraining(broken, { until: 1 });
        const { events: [, ...after] } = await runTraining(
          options("broken", { ...usual, resume: "auto" }),
        );
        assert(
          after.some((event) =>
            event.type === "warning" && /as in the checkpoint/.test(event.message)
          ),
        );
        const model = (output: string) => Deno.readFile(join(output, "model/model.safetensors"));
        assertEquals(await model(broken.output), await model(whole.output));
      }),
  );
}

trainingTest(
  "a norm that is not finite ends the run, as a loss does, though the loss is finite",
  () =>
    withWorkshop(async ({ options }) => {
      const gpu = await sharedGpu();
      const recipe = await pretrainRecipe(
        options("run", { optimizer: "adamw", dtype: "float32", maxGradNorm: 1, saveEvery: 1 }),
      );
      // Hidden states of 1e25: so are the head's gradients, whose squares exceed float32.
      const start: Recipe["start"] = async (gpu, training, ...rest) => {
        await recipe.start(gpu, training, ...rest);
        const { weight } = training.model.parameters.finalNorm;
        gpu.write(weight, packTensor(weight, (await download(gpu, weight)).fill(1e25)));
      };
      using trainer = await Trainer.open(gpu, { ...recipe, start });
      await assertRejects(
        () => Array.fromAsync(trainer.run()),
        UserError,
        "step 1: the norm of the gradients is Infinity; no checkpoint exists yet",
      );
    }),
);

/** Runs that clip gradients, and with Fira: planned, resumed, and ended by norms that are not finite. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { packTensor } from "../../src/numbers/plain.ts";
import { PROPERTIES } from "../../src/options/spelling.ts";
import { spell } from "../../src/options/phrase.ts";
import { UserError } from "../../src/options/user_error.ts";
import { clippingText } from "../../src/train/clipping.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { trainingShape } from "../../src/train/method.ts";
import { pretrainRecipe } from "../../src/train/pretrain_recipe.ts";
import type { Recipe } from "../../src/train/recipe.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { download, sharedGpu } from "../support.ts";
import { runTraining, TINY, trainingTest, withWorkshop } from "./support.ts";

trainingTest(
  "a run with Fira that clips is resumed with its limits, and ends with the same bits",
  () =>
    withWorkshop(async ({ options }) => {
      const usual = { steps: 3, gradientAccumulation: 2, fira: true };
      const clips = { ...usual, maxGradNorm: 0.5 };
      const whole = options("whole", clips), broken = options("broken", clips);
      const { events: [plan, note, ...rest], account } = await runTraining(whole);
      assert(plan.type === "plan" && note.type === "warning");
      assertEquals(plan.planned_peak_bytes, account.peak);
      assert(note.message.startsWith("maxGradNorm: 0.5 clips all gradients"), note.message);
      const norms = rest.flatMap((event) => event.type === "step" ? [event.grad_norm!] : []);
      assert(norms.length === 3 && norms.every((norm) => norm > 0.5), `${norms}`);

      await runTraining(broken, { until: 1 });
      // What is left open is the checkpoint's.
      const { events } = await runTraining(options("broken", { ...usual, resume: "auto" }));
      const resumed = (event: typeof events[number]) =>
        event.type === "warning" && /as in the checkpoint: maxGradNorm: 0.5/.test(event.message);
      assert(events.some(resumed));
      const model = (output: string) => Deno.readFile(join(output, "model/model.safetensors"));
      assertEquals(await model(broken.output), await model(whole.output));
      await assertRejects(
        () => runTraining(options("broken", { ...usual, fira: false, resume: "auto" })),
        UserError,
        "fira was true, is not set",
      );
    }),
);

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

for (
  const [given, expected] of [
    [{}, undefined],
    [{ finetune: true }, /clips the gradient of each matrix by its own norm, low-rank where/],
    [
      { optimizer: "adamw", maxGradNorm: 2 },
      /^maxGradNorm: 2 clips the gradient of each matrix by/,
    ],
    [
      { finetune: true, gradientAccumulation: 2 },
      /clips all gradients of a step .* low-rank where/,
    ],
    [{ finetune: true, gradientAccumulation: 2, fira: true }, /by their common norm$/],
    [{ optimizer: "lora" }, /^maxGradNorm: 1 clips all gradients of a step by their common norm$/],
    [{ optimizer: "lora", trainEmbeddings: true }, /clips the gradient of each matrix/],
    [
      { optimizer: "scale", maxGradNorm: 1 },
      /common norm; SCALE then divides by norms, so only what the head and vectors learn changes$/,
    ],
    [
      { optimizer: "adamw", maxGradNorm: 1, stableSpam: true, gradientAccumulation: 2 },
      /common norm; stableSpam then brings matrices to their usual norms, so .* hardly changes$/,
    ],
  ] as const
) {
  Deno.test(`memory says what is clipped with ${JSON.stringify(given)}`, () => {
    const options = memoryOptions.parse({ model: "./config.json", ...given });
    const text = clippingText(trainingShape(options, TINY), options.maxGradNorm);
    if (!expected) return assertEquals(text, undefined);
    assert(text);
    const spelled = spell(text, PROPERTIES);
    assert(expected.test(spelled), spelled);
  });
}

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { UserError } from "../../src/options/user_error.ts";
import { textSampling } from "../../src/inference/default_sampling.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import type { DoneEvent, SampleEvent, StepEvent, TrainingEvent } from "../../src/train/events.ts";
import { sharedGpu } from "../support.ts";
import { runTraining, trainingTest, withWorkshop } from "./support.ts";

const PROMPTS = ["First Citizen:", "We are"];

trainingTest(
  "samples come with evaluations; the last are what the saved model writes",
  () =>
    withWorkshop(async ({ options }) => {
      const run = options("run", {
        optimizer: "adamw",
        dtype: "float32",
        steps: 6,
        evalEvery: 3,
        samplePrompt: PROMPTS,
        sampleTokens: 12,
      });
      const { events } = await runTraining(run);
      const samples = events.filter((event): event is SampleEvent => event.type === "sample");
      assertEquals(samples.map(({ step, prompt }) => [step, prompt]), [
        [3, PROMPTS[0]],
        [3, PROMPTS[1]],
        [6, PROMPTS[0]],
        [6, PROMPTS[1]],
      ]);
      const folder = join(run.output, "model");
      // Other programs sample it, too: these are transformers' names.
      const generation = await Deno.readTextFile(join(folder, "generation_config.json"));
      assertEquals(JSON.parse(generation), {
        ...{ bos_token_id: null, eos_token_id: 256, pad_token_id: null },
        ...{ do_sample: true, temperature: 0.8, top_k: 40, top_p: 0.95 },
      });
      const gpu = await sharedGpu();
      const tokenizer = await loadTokenizer(folder);
      using model = await LlamaForCausalLM.fromPretrained(folder, { gpu });
      for (const { prompt, text } of samples.slice(2)) {
        const ids = tokenizer.encode(prompt);
        const options = { ...textSampling(tokenizer), maxNewTokens: 12 };
        const written = await Array.fromAsync(model.generate(ids, options));
        assertEquals(text, tokenizer.decode(written, { skipSpecialTokens: true }));
      }
    }),
);

trainingTest(
  "samples that a stop cut short are written after the resume, and the run ends then",
  () =>
    withWorkshop(async ({ options }) => {
      const run = options("run", {
        steps: 4,
        evalEvery: 2,
        samplePrompt: PROMPTS,
        sampleTokens: 4,
      });
      const told = (all: readonly TrainingEvent[]) =>
        all.flatMap((event) => event.type === "sample" ? [[event.step, event.prompt]] : []);
      const first = await runTraining(run, { untilSample: 3 });
      assertEquals(told(first.events), [[2, PROMPTS[0]], [2, PROMPTS[1]], [4, PROMPTS[0]]]);
      assertEquals((first.events.at(-1) as DoneEvent).interrupted, true);
      const second = await runTraining({ ...run, resume: "auto" });
      assertEquals(told(second.events), [[4, PROMPTS[0]], [4, PROMPTS[1]]]);
      assertEquals((second.events.at(-1) as DoneEvent).interrupted, false);
    }),
);

trainingTest(
  "a prompt without room is refused before anything is loaded",
  () =>
    withWorkshop(async ({ options }) => {
      const samplePrompt = ["a prompt that is longer than a training sequence"];
      await assertRejects(
        () => runTraining(options("run", { samplePrompt })),
        UserError,
        'samplePrompt: "a prompt that is longer than a training " has 48 tokens, must be ' +
          "1 to 16",
      );
    }),
);

trainingTest(
  "steps name the parameters whose subspaces they refresh",
  () =>
    withWorkshop(async ({ options }) => {
      const { events } = await runTraining(options("run", { steps: 6, updateProjGap: 3 }));
      const steps = events.filter((event): event is StepEvent => event.type === "step");
      // Two layers of seven projections, at the first step and three steps later.
      assertEquals(steps.map(({ refreshed }) => refreshed?.length), [
        14,
        undefined,
        undefined,
        14,
        undefined,
        undefined,
      ]);
      assert(steps[0].refreshed!.includes("model.layers.1.mlp.down_proj.weight"));
      let counted = 0;
      for (const { refreshed = [], subspace_refreshes } of steps) {
        counted += refreshed.length;
        assertEquals(subspace_refreshes, counted);
      }
    }),
);

/** Rows of embedding and head: as many as the tokenizer has ids, unless asked otherwise. */
import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { trainTokenizer } from "../../src/data/train_tokenizer.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { PRESETS } from "../../src/model/config.ts";
import { OptionsError } from "../../src/options/faults.ts";
import { UserError } from "../../src/options/user_error.ts";
import type { PlanEvent, WarningEvent } from "../../src/train/events.ts";
import { plannedConfig, runConfig, trainingShape } from "../../src/train/method.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { planMemory } from "../../src/train/plan.ts";
import { pretrainRecipe } from "../../src/train/pretrain_recipe.ts";
import { gpuTest } from "../support.ts";
import { assertRefuses } from "../support_errors.ts";
import { runTraining, trainingTest } from "./support.ts";

const SHAKESPEARE = fromFileUrl(import.meta.resolve("../../examples/data/tinyshakespeare.txt"));
const ids = (vocabSize: number) => ({ vocabSize, bosTokenId: null, eosTokenId: 0 });
const sized = { seqLen: 256, tokenizer: "mine" };

for (
  const [model, tokens, asked, expected] of [
    ["llama_nano", 257, undefined, 257], // bytes, as ever
    ["llama_9m", 257, undefined, 257],
    ["llama_9m", 8000, undefined, 8000],
    ["llama_9m", 8000, 8192, 8192],
    ["llama_60m", 32000, undefined, 32000],
    ["llama_60m", 50257, undefined, 50257],
  ] as const
) {
  const rows = asked ? `, ${asked} rows asked for` : "";
  Deno.test(`${model} with a tokenizer of ${tokens} ids${rows}: ${expected} rows`, () => {
    const fit = { ...sized, model, vocabSize: asked };
    const { vocabSize, ...rest } = runConfig(PRESETS[model], fit, ids(tokens));
    assertEquals(vocabSize, expected);
    const { vocabSize: _, ...preset } = PRESETS[model];
    assertEquals(rest, { ...preset, bosTokenId: undefined, eosTokenId: 0 });
  });
}

Deno.test("rows are refused that are too few, or of a model that is no preset", () => {
  assertRefuses(
    () => runConfig(PRESETS.llama_9m, { ...sized, model: "llama_9m", vocabSize: 300 }, ids(8000)),
    UserError,
    'vocabSize: 300 is too few: tokenizer: "mine" has 8000 ids',
  );
  const given = { data: ["a.txt"], output: "out", vocabSize: 300 };
  assertRefuses(
    () => pretrainOptions.parse({ ...given, model: "./config.json" }),
    OptionsError,
    "vocabSize: applies to a preset: another model has the vocab_size of its config.json",
  );
  assertRefuses(() => pretrainOptions.parse({ ...given, from: "m" }), OptionsError, "vocabSize");
});

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  await work(folder).finally(() => Deno.remove(folder, { recursive: true }));
}

const small = { batchSize: 2, seqLen: 32, warmupSteps: 0, evalShare: 0 };
const rowsOf = async (output: string) => {
  const model = await Safetensors.open(join(output, "model"));
  try {
    const { vocab_size } = JSON.parse(
      await Deno.readTextFile(join(output, "model", "config.json")),
    );
    const shapes = ["model.embed_tokens.weight", "lm_head.weight"]
      .map((name) => model.tensors.get(name)!.shape[0]);
    return [vocab_size, ...shapes];
  } finally {
    model.close();
  }
};

gpuTest(
  "a run has the rows of its tokenizer, takes the memory planned, and says so",
  (gpu) =>
    inFolder(async (folder) => {
      const { tokenizer } = await trainTokenizer({ data: [SHAKESPEARE], vocabSize: 500 });
      await tokenizer.save(join(folder, "mine"));
      const output = join(folder, "run"), sizes = { model: "llama_9m", batchSize: 2, seqLen: 32 };
      const { events } = await runTraining(pretrainOptions.parse({
        ...{ ...small, ...sizes, output, steps: 2, data: [SHAKESPEARE] },
        tokenizer: join(folder, "mine"),
      }));
      assertEquals(await rowsOf(output), [500, 500, 500]);
      const warnings = events.filter((event): event is WarningEvent => event.type === "warning");
      assertMatch(
        warnings.map(({ message }) => message).join("\n"),
        /have 500 rows, one for each id .* had 32000 in earlier releases \(vocabSize: 32000\)/,
      );
      const planned = memoryOptions.parse({ ...sizes, vocabSize: 500 });
      const config = await plannedConfig(planned);
      const { plannedPeakBytes } = planMemory(
        config,
        trainingShape(planned, config),
        gpu.capabilities,
      );
      const plan = events.find((event): event is PlanEvent => event.type === "plan")!;
      assertEquals(plan.planned_peak_bytes, plannedPeakBytes);
    }),
);

trainingTest(
  "a run that began with more rows keeps them when it is resumed",
  () =>
    inFolder(async (output) => {
      const options = { ...small, model: "llama_nano", data: [SHAKESPEARE], output };
      // As an earlier release began it: without the option, with the preset's rows.
      await runTraining(
        pretrainOptions.parse({ ...options, steps: 2, saveEvery: 1, vocabSize: 300 }),
      );
      const resumed = { ...options, steps: 4, resume: "auto" };
      const { events } = await runTraining(pretrainOptions.parse(resumed));
      assertEquals(await rowsOf(output), [300, 300, 300]);
      const steps = events.flatMap((event) => event.type === "step" ? [event.step] : []);
      assertEquals(steps, [3, 4]);
    }),
);

for (
  const [model, spells] of [["llama_60m", true], ["llama_35m", false]] as const
) {
  trainingTest(
    `${model} over bytes: ${spells ? "a warning" : "none"}`,
    () =>
      inFolder(async (output) => {
        const { warnings } = await pretrainRecipe(
          pretrainOptions.parse({ ...small, model, data: [SHAKESPEARE], output }),
        );
        assertEquals(JSON.stringify(warnings).includes("`tokenizer train`"), spells);
      }),
  );
}

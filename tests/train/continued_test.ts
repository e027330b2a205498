/** Pre-training from the weights of a model: against PyTorch, by each method, interrupted, refused. */
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { readBaseConfig } from "../../src/formats/pretrained_model.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { OptionsError } from "../../src/options/faults.ts";
import { UserError } from "../../src/options/user_error.ts";
import { saveCheckpointModel } from "../../src/train/checkpoint_model.ts";
import type { EvalEvent, PlanEvent, StepEvent, WarningEvent } from "../../src/train/events.ts";
import { trainingShape } from "../../src/train/method.ts";
import { methodOf, resultOfMethod } from "../../src/train/methods.ts";
import { CONTINUE_METHODS } from "../../src/train/method_fields.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { type PretrainOptions, pretrainOptions } from "../../src/train/options.ts";
import { planMemory } from "../../src/train/plan.ts";
import { sharedGpu } from "../support.ts";
import { type Ran, runTraining, trainingTest } from "./support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures"));
const CONTINUED = join(FIXTURES, "continued"), UNTIED = join(CONTINUED, "untied");
const TIED = join(FIXTURES, "models/llama-gqa-tied");

interface Golden {
  readonly losses: readonly number[];
  readonly held_out: readonly number[];
}
const golden = JSON.parse(await Deno.readTextFile(join(CONTINUED, "golden.json")));

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function optionsOf(output: string, change: Record<string, unknown>): PretrainOptions {
  return pretrainOptions.parse({
    from: UNTIED,
    data: [join(CONTINUED, "documents.jsonl")],
    evalData: [join(CONTINUED, "held_out.jsonl")],
    output,
    steps: 2,
    batchSize: 2,
    seqLen: 32,
    ...change,
  });
}

const events = <E extends { type: string }>({ events }: Ran, type: E["type"]) =>
  events.filter((event) => event.type === type) as unknown as E[];

for (
  const [name, change] of [["untied", {}], ["tied", { from: TIED, tokenizer: "bytes" }]] as const
) {
  trainingTest(`AdamW on raw text from a model with ${name} head, as in PyTorch`, async () => {
    await withFolder(async (folder) => {
      const { losses, held_out } = golden[name] as Golden;
      const { steps, batchSize, seqLen, lr, weightDecay } = golden;
      const ran = await runTraining(optionsOf(folder, {
        ...{ steps, batchSize, seqLen, lr, weightDecay },
        optimizer: "adamw",
        dtype: "float32",
        scheduler: "constant",
        warmupSteps: 0,
        shuffleBuffer: 0,
        ...change,
      }));
      const trained = events<StepEvent>(ran, "step").map(({ loss }) => loss);
      const evaluated = events<EvalEvent>(ran, "eval").map(({ step, eval_loss }) => {
        return [step, eval_loss] as const;
      });
      assertEquals(evaluated.map(([step]) => step), [0, steps]);
      // Sums of float32 in another order, carried through AdamW's division by small moments.
      trained.forEach((loss, step) => assertAlmostEquals(loss, losses[step], 2e-4));
      evaluated.forEach(([, loss], i) => assertAlmostEquals(loss, held_out[i], 2e-4));
    });
  });
}

for (const optimizer of CONTINUE_METHODS) {
  trainingTest(`${optimizer} trains a model further, and saves what loads again`, async () => {
    await withFolder(async (folder) => {
      const options = optionsOf(folder, { optimizer, samplePrompt: ["First"], sampleTokens: 2 });
      assertEquals(options.lr, methodOf(optimizer).lr.continue);
      const ran = await runTraining(options);
      const [plan] = events<PlanEvent>(ran, "plan");
      assertEquals(ran.account.peak, plan.planned_peak_bytes);
      const made = resultOfMethod(methodOf(optimizer), { isRandom: false });
      const adapters = made === "adapter";
      const result = join(folder, adapters ? "adapter" : "model");
      using weights = await Safetensors.open(
        adapters ? join(result, "adapter_model.safetensors") : result,
      );
      using base = await Safetensors.open(UNTIED);
      if (!adapters) {
        assertEquals([...weights.tensors.keys()].sort(), [...base.tensors.keys()].sort());
      }
      const name = adapters
        ? "base_model.model.model.layers.0.mlp.down_proj.lora_B.weight"
        : "model.layers.0.mlp.down_proj.weight";
      const after = await weights.readFloat32(name);
      assert(after.every(Number.isFinite), "finite");
      const before = adapters ? after.map(() => 0) : await base.readFloat32(name);
      assert(after.some((value, i) => value !== before[i]), "trained");
      const files = [...Deno.readDirSync(result)].map(({ name }) => name);
      for (const file of ["tokenizer.json", "README.md"]) assert(files.includes(file), file);
      assert((await Deno.readTextFile(join(result, "README.md"))).includes("Pre-trained further"));
      // The plan without a run is the run's.
      const planned = memoryOptions.parse({ from: UNTIED, optimizer, batchSize: 2, seqLen: 32 });
      const config = await readBaseConfig(UNTIED);
      const { capabilities } = await sharedGpu();
      assertEquals(
        planMemory(config, trainingShape(planned, config), capabilities).plannedPeakBytes,
        planMemory(
          config,
          { ...trainingShape(options, config), samplePositions: undefined },
          capabilities,
        ).plannedPeakBytes,
      );
    });
  });
}

for (const optimizer of ["q_galore_adamw8bit", "lora"]) {
  trainingTest(`${optimizer}: interrupted and resumed equals uninterrupted`, async () => {
    await withFolder(async (folder) => {
      const options = (name: string, change: Record<string, unknown> = {}) =>
        optionsOf(join(folder, name), { optimizer, steps: 4, saveEvery: 2, ...change });
      await runTraining(options("whole", { keepCheckpoints: 4 }));
      await runTraining(options("parts"), { until: 2 });
      await runTraining(options("parts", { resume: "auto" }));
      const kind = optimizer === "lora" ? "adapter" : "model";
      const file = optimizer === "lora" ? "adapter_model.safetensors" : "model.safetensors";
      const bytes = (name: string) => Deno.readFile(join(folder, name, kind, file));
      assertEquals(await bytes("parts"), await bytes("whole"));
      // The model of a checkpoint, as a run of so many steps leaves it.
      const gpu = await sharedGpu();
      await saveCheckpointModel(gpu, {
        pretrain: options("saved", { resume: join(folder, "whole", "checkpoint-4") }),
      });

      assertEquals(await bytes("saved"), await bytes("whole"));
    });
  });
}

trainingTest(
  "a model given for its shape alone: its weights are not used, which is said",
  async () => {
    await withFolder(async (folder) => {
      const options = optionsOf(folder, { from: undefined, model: UNTIED, tokenizer: UNTIED });
      const ran = await runTraining(options);
      const [{ message }] = events<WarningEvent>(ran, "warning");
      assert(message.includes("holds trained weights, which are not used"), message);
      assertEquals(events<EvalEvent>(ran, "eval").map(({ step }) => step), [2]);
    });
  },
);

for (
  const [given, message] of [
    [{ model: "llama_nano", from: "x" }, 'model: starts from random weights, from: "x" from those'],
    [{}, "model: is required: a preset or a config.json to train from random weights, or from"],
    [{ from: "llama_nano" }, "from: llama_nano is a preset, which has no weights"],
    [{ model: "llama_nano", optimizer: "qlora" }, "optimizer: qlora trains adapters beside the"],
    [{ model: "llama_nano", ropeScaling: "yarn" }, "ropeScaling: needs from"],
    [{ from: "x", optimizer: "lora", ropeScaling: "yarn" }, "ropeScaling: cannot be saved with"],
    [
      { from: "x", optimizer: "low_rank" },
      'optimizer: low_rank trains factors in place of matrices, from random weights, and from: "x"',
    ],
    [{ from: "x", trainEmbeddings: true }, "trainEmbeddings: applies to adapters"],
    [{ from: "x", loraRank: 4 }, "loraRank: needs the optimizer lora or qlora or relora"],
    [
      { from: "x", optimizer: "adamw", dtype: "float32", stochasticRound: true },
      'stochasticRound: applies to INT8 and bfloat16 weights, not with dtype: "float32"',
    ],
    [
      { from: "x", optimizer: "lora", stochasticRound: true },
      "stochasticRound: applies to INT8 and bfloat16 weights; the adapters of lora are float32",
    ],
  ] as const
) {
  Deno.test(`refuses ${JSON.stringify(given)}`, () => {
    const base = { data: ["-"], output: "-" };
    assertThrows(() => pretrainOptions.parse({ ...base, ...given }), OptionsError, message);
  });
}

trainingTest("a tokenizer with more ids than the model has rows is refused", async () => {
  await withFolder(async (folder) => {
    const from = join(FIXTURES, "models/llama-mha");
    await assertRejects(
      () => runTraining(optionsOf(folder, { from, tokenizer: UNTIED })),
      UserError,
      "has 290 ids",
    );
    await assertRejects(
      () => runTraining(optionsOf(folder, { seqLen: 65 })),
      UserError,
      "seqLen: 65 exceeds the 64 positions",
    );
  });
});

/** Each row of the table of methods: its names, and a run. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { PRETRAIN_METHODS } from "../../src/train/method_fields.ts";
import { METHOD_NAMES, methodNamed, methodOf, rankOptionOf } from "../../src/train/methods.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { runTraining, TINY, trainingTest, withWorkshop } from "./support.ts";

/** transformers' current optimizers, and two from older versions. */
async function knownOptims(): Promise<string[]> {
  const file = new URL("../fixtures/optimizer_names.json", import.meta.url);
  const { names } = JSON.parse(await Deno.readTextFile(file));
  return [...names, "adamw_hf", "paged_adamw"];
}

Deno.test("names of optimizers are those of transformers, and name one method each", async () => {
  const known = await knownOptims();
  const optims = METHOD_NAMES.flatMap((name) => methodOf(name).optim);
  assertEquals(optims.filter((optim) => !known.includes(optim)), []);
  assertEquals(optims.length, new Set(optims).size);
  const names = METHOD_NAMES.flatMap((name) => [name, ...methodOf(name).aliases]);
  assertEquals(names.length, new Set(names).size);
  for (const name of names) assert(methodNamed(name), name);
  assertEquals(methodNamed("sgd"), undefined);
});

Deno.test("a method has rates for the runs that it is for, and takes its rank option", () => {
  const run = { model: "llama_nano", data: ["-"], output: "-", steps: 9 };
  for (const optimizer of METHOD_NAMES) {
    const { lr } = methodOf(optimizer);
    const { finetune } = lr;
    if (finetune !== undefined) {
      assertEquals(finetuneOptions.parse({ ...run, optimizer }).lr, finetune);
    }
    if (lr.pretrain !== undefined) {
      assertEquals(pretrainOptions.parse({ ...run, optimizer }).lr, lr.pretrain);
    }
    const rank = rankOptionOf(methodOf(optimizer));
    const options = finetune === undefined ? pretrainOptions : finetuneOptions;
    const parsed = options.parseUnknown({ ...run, optimizer, ...(rank && { [rank]: 16 }) });
    if (rank) assertEquals(parsed[rank], 16);
  }
});

const SUMMED = { batchSize: 1, gradientAccumulation: 2, accumulatorQuant: true };

/** The methods, and embedding and head in INT8. */
const RUNS: Readonly<Record<string, { change: Record<string, unknown>; tied?: true }>> = {
  ...Object.fromEntries(
    PRETRAIN_METHODS.map((optimizer) => [optimizer, { change: { optimizer } }]),
  ),
  "ReLoRA, accumulated, clipped, of matrices in INT8 that are merged before the stop": {
    change: {
      optimizer: "relora",
      jaggedRestartSteps: 3,
      weightQuant: true,
      weightGroupSize: 64,
      batchSize: 1,
      gradientAccumulation: 2,
      maxGradNorm: 1,
    },
  },
  "low-rank factors, recomputed, with a common norm of gradients": {
    change: {
      optimizer: "low_rank",
      activationCheckpointing: true,
      layerwise: false,
      maxGradNorm: 1,
    },
    tied: true,
  },
  "LoRA beside INT8 matrices, accumulated, clipped, recomputed": {
    change: {
      optimizer: "lora",
      weightQuant: true,
      weightGroupSize: 64,
      activationCheckpointing: true,
      batchSize: 1,
      gradientAccumulation: 2,
      maxGradNorm: 1,
    },
    tied: true,
  },
  "Muon with INT8 weights": { change: { optimizer: "muon", weightQuant: true } },
  "SCALE, gradients summed in INT8, those of head and embedding too": {
    change: { optimizer: "scale", ...SUMMED, maxGradNorm: 1 },
    tied: true,
  },
  "AdamW, updated after the backward pass": {
    change: { optimizer: "adamw", layerwise: false, maxGradNorm: 1 },
  },
  "Fira, gradients summed in INT8": { change: { fira: true, ...SUMMED } },
  "Fira, fused, with Stable-SPAM, whose moments begin anew before and after the stop": {
    change: { fira: true, stableSpam: true, momentumReset: 3, maxGradNorm: 0 },
  },
  "AdamW with Stable-SPAM, whose means outlast its moments": {
    change: { optimizer: "adamw", stableSpam: true, momentumReset: 3 },
  },
  "INT8 embedding and head": { change: { embeddingQuant: true } },
  "INT8 embedding, tied": { change: { embeddingQuant: true }, tied: true },
};

for (const [run, { change, tied }] of Object.entries(RUNS)) {
  trainingTest(
    `${run}: as planned, it learns, and a stop changes no bit`,
    () =>
      withWorkshop(async ({ options }) => {
        const own = (name: string) =>
          options(name, { ...change, lr: 0.02, steps: 8, saveEvery: 8 });
        const { events, account } = await runTraining(own("whole"));
        const [first, ...rest] = events.filter((event) => event.type === "step");
        assert(rest.at(-1)!.loss < first.loss - 0.3, `${first.loss} → ${rest.at(-1)!.loss}`);
        const plan = events.find((event) => event.type === "plan")!;
        assertEquals(plan.planned_peak_bytes, account.peak);

        const stopped = own("stopped");
        await runTraining(stopped, { until: 4 });
        await runTraining({ ...stopped, resume: "auto" });
        const weights = (run: { output: string }) =>
          Deno.readFile(join(run.output, "model/model.safetensors"));
        assertEquals(await weights(stopped), await weights(own("whole")));
      }, tied && { ...TINY, tieWordEmbeddings: true }),
  );
}

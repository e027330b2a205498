/** LoRA from random weights: torch's steps (tests/golden/make_low_rank.py), and what is saved and resumed. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import { loadWeights, saveWeights } from "../../src/formats/pretrained.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { mergedValues } from "../../src/formats/tensor_values.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { Scope } from "../../src/gpu/scope.ts";
import type { Batch } from "../../src/model/batch.ts";
import { uploadRope } from "../../src/model/llama.ts";
import { PROJECTIONS } from "../../src/model/description.ts";
import { wholeParameters } from "../../src/model/parameters.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import type { OptimizerRates } from "../../src/optim/rates.ts";
import { OptionsError } from "../../src/options/faults.ts";
import { buildTraining, type TrainingShape } from "../../src/train/build.ts";
import { saveCheckpointModel } from "../../src/train/checkpoint_model.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { METHODS } from "../../src/train/methods.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { RecordedStep } from "../../src/train/step.ts";
import { assertCloseToLargest } from "../model/support_lora.ts";
import { RATES } from "../optim/support_rates.ts";
import { download, gpuTest } from "../support.ts";
import { runTraining, trainingTest, withWorkshop } from "./support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/"));

/** A case of the script. */
interface Golden {
  readonly lora: Partial<TrainingShape["lora"]>;
  readonly rates?: Partial<OptimizerRates>;
  /** Of a step, from 1. */
  readonly lr?: (step: number) => number;
}

const CASES: Readonly<Record<string, Golden>> = {
  lora: { lora: { alpha: 16 } },
};

for (const [name, { lora, rates, lr = () => 0.01 }] of Object.entries(CASES)) {
  gpuTest(`${name}: 24 steps are torch's`, async (gpu) => {
    using expected = await Safetensors.open(`${FIXTURES}low_rank/${name}.safetensors`);
    using source = await openPretrained(`${FIXTURES}lora/odd`);
    const batches = await batchesOf(expected), scope = new Scope(gpu);
    const training = buildTraining(scope, source.config, {
      batchSize: 2,
      seqLen: batches[0].inputs.length / 2,
      dtype: "float32",
      activationCheckpointing: false,
      weights: "float32",
      weightGroupSize: 256,
      embeddings: "float32",
      trained: "all_but_adapted",
      lora: { rank: 6, alpha: 6, targets: PROJECTIONS, merged: true, dropout: 0, ...lora },
      optimizer: { rules: METHODS.lora.rules, gradientAccumulation: 1 },
    }, gpu.capabilities);
    const { model: { parameters }, losses: out } = training;
    uploadRope(gpu, training.model);
    await loadWeights(gpu, parameters, source.weights);
    for (const { name, kind, weight } of parameters.all) {
      if (kind !== "adapter") continue;
      const initial = await expected.readFloat32(`initial.${name}`);
      gpu.write(weight, packTensor(weight, initial));
    }

    const losses: number[] = [];
    for (let step = 1; step <= 24; step++) {
      const batch = batches[(step - 1) % batches.length];
      const options = { step, lr: lr(step), rates: { ...RATES, ...rates }, lossIndex: 0 };
      await new RecordedStep(gpu, training, [batch], options).give();
      losses.push((await download(gpu, out))[0] / batch.tokens);
    }
    // Both sum in float32, in their own order: 1e-5 of a loss, and 1e-4 of the largest value of a
    // tensor that 24 steps have moved by a tenth or more of it.
    assertCloseToLargest("losses", losses, await expected.readFloat32("losses"), 1e-5);
    for (const { parameter, adapter } of wholeParameters(parameters)) {
      const { name, weight } = parameter;
      const whole = adapter
        ? await mergedValues(gpu, parameter, adapter)(0, weight.shape[0] * weight.shape[1])
        : await download(gpu, weight);
      assertCloseToLargest(name, whole, await expected.readFloat32(`final.${name}`), 1e-4);
    }
    await assertSavedWhole(gpu, training.model.parameters);
    scope.release();
  });
}

async function batchesOf(expected: Safetensors): Promise<Batch[]> {
  const [count, rows, length] = expected.info("input_ids").shape, size = rows * length;
  const ids = await expected.readFloat32("input_ids");
  return Array.from({ length: count }, (_, index) => {
    const own = ids.subarray(index * size, (index + 1) * size);
    const last = (at: number) => at % length === length - 1;
    const inputs = Uint32Array.from(own.filter((_, at) => !last(at)));
    const targets = Int32Array.from(own.filter((_, at) => at % length > 0));
    return { inputs, targets, tokens: targets.length };
  });
}

/** The saved model is W + s · B·A of what the device holds, in float64. */
async function assertSavedWhole(
  gpu: Gpu,
  parameters: Parameters<typeof wholeParameters>[0],
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await saveWeights(gpu, parameters, folder, "float32");
    using saved = await Safetensors.open(folder);
    const whole = wholeParameters(parameters);
    assertEquals(
      [...saved.tensors.keys()].sort(),
      whole.map(({ parameter }) => parameter.name).sort(),
    );
    for (const { parameter: { name, weight, isProduct }, adapter } of whole) {
      if (!adapter) continue;
      const [out, inner] = weight.shape, { a, b, scale } = adapter, rank = a.shape[0];
      const base = isProduct ? undefined : await download(gpu, weight);
      const A = await download(gpu, a.weight), B = await download(gpu, b.weight);
      const values = Float32Array.from({ length: out * inner }, (_, at) => {
        const row = Math.floor(at / inner), column = at % inner;
        let sum = base?.[at] ?? 0;
        for (let k = 0; k < rank; k++) sum += scale * B[row * rank + k] * A[k * inner + column];
        return sum;
      });
      assertEquals(await saved.readFloat32(name), values, name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs of each method whose result is what its factors are merged into. */
const MERGED: Readonly<Record<string, Record<string, unknown>>> = {
  "lora, INT8": { optimizer: "lora", weightQuant: true, weightGroupSize: 64 },
};

for (const [run, change] of Object.entries(MERGED)) {
  trainingTest(`${run}: a stopped run's model is the finished one's, and loads`, async () => {
    await withWorkshop(async ({ options, folder }) => {
      const own = options("run", { ...change, steps: 4, saveEvery: 4, saveMinutes: 0 });
      await runTraining(own);
      using result = await openPretrained(join(own.output, "model"));
      assertEquals(result.config.layers, 2);
      await saveCheckpointModel({
        run: join(own.output, "checkpoint-4"),
        output: join(folder, "saved"),
      });
      const bytes = (path: string) => Deno.readFile(join(path, "model.safetensors"));
      assertEquals(await bytes(join(folder, "saved")), await bytes(join(own.output, "model")));
    });
  });
}

Deno.test("a rank is a quarter of the width from random weights, and at most a matrix's sides", () => {
  const lora = (options: Record<string, unknown>) =>
    memoryOptions.parse({ model: "llama_60m", optimizer: "lora", ...options });
  assertEquals([lora({}).finetune, lora({}).loraRank], [true, 8]);
  assertEquals([lora({ finetune: false }).finetune, lora({ finetune: false }).loraRank], [
    false,
    undefined,
  ]);
});

const REFUSED: readonly (readonly [Record<string, unknown>, string])[] = [
  [
    { optimizer: "qlora" },
    "optimizer: qlora trains adapters beside the weights of a model, which from names; from random",
  ],
  [{ optimizer: "lora", useDora: true }, "useDora: keeps lengths of rows beside a model's"],
  [
    { optimizer: "lora", loraTarget: ["lm_head"] },
    "loraTarget: has embed_tokens or lm_head, which",
  ],
  [{ optimizer: "lora", trainEmbeddings: true }, "trainEmbeddings: applies to adapters beside a"],
  [{ optimizer: "lora", embedding4bit: true }, "embedding4bit: needs a frozen embedding and head"],
];

for (const [given, message] of REFUSED) {
  Deno.test(`from random weights ${JSON.stringify(given)} is refused`, () => {
    const base = { model: "llama_nano", data: ["-"], output: "-" };
    const error = assertThrows(() => pretrainOptions.parse({ ...base, ...given }), OptionsError);
    assert(error.message.includes(message), error.message);
  });
}

/** LoRA and ReLoRA from random weights, and factors in place of matrices: torch's steps (tests/golden/make_low_rank.py), and what is saved and resumed. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { fromFloat32, toFloat32 } from "../../src/formats/element_types.ts";
import { readCheckpoint } from "../../src/formats/checkpoint/reader.ts";
import { openPretrained, readBaseConfig } from "../../src/formats/pretrained_model.ts";
import { loadWeights, saveWeights } from "../../src/formats/pretrained.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { mergedValues } from "../../src/formats/tensor_values.ts";
import type { WeightFile } from "../../src/formats/weight_file.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { Scope } from "../../src/gpu/scope.ts";
import type { Batch } from "../../src/model/batch.ts";
import { initializeAll } from "../../src/model/initialize.ts";
import { uploadRope } from "../../src/model/llama.ts";
import { PROJECTIONS } from "../../src/model/description.ts";
import {
  createParameters,
  type LlamaParameters,
  wholeParameters,
} from "../../src/model/parameters.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import { learningRate, type Schedule } from "../../src/optim/schedules.ts";
import { OptionsError } from "../../src/options/faults.ts";
import { UserError } from "../../src/options/user_error.ts";
import { buildTraining, type TrainingShape } from "../../src/train/build.ts";
import { saveCheckpointModel } from "../../src/train/checkpoint_model.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { initializeAdapters } from "../../src/train/initialize_adapters.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { trainingShape } from "../../src/train/method.ts";
import { METHODS } from "../../src/train/methods.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { planMemory } from "../../src/train/plan.ts";
import { decidedRestarts } from "../../src/train/restart_times.ts";
import { readRunState, type RunState } from "../../src/train/run_state.ts";
import { RecordedStep } from "../../src/train/step.ts";
import { assertCloseToLargest } from "../model/support_lora.ts";
import { RATES } from "../optim/support_rates.ts";
import { download, gpuTest, sharedGpu } from "../support.ts";
import { runFinetuning, runTraining, TINY, trainingTest, withWorkshop } from "./support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/"));

/** A case of the script. */
interface Golden {
  readonly lora: Partial<TrainingShape["lora"]>;
  /** Of ReLoRA: two restarts. */
  readonly restarts?: { readonly every: number; readonly warmupSteps: number };
}

const CASES: Readonly<Record<string, Golden>> = {
  lora: { lora: { alpha: 16 } },
  relora: { lora: { alpha: 16 }, restarts: { every: 8, warmupSteps: 3 } },
  low_rank: { lora: { alpha: 1, alone: true } },
};

const STEPS = 24;

for (const [name, { lora, restarts }] of Object.entries(CASES)) {
  gpuTest(`${name}: ${STEPS} steps are torch's`, async (gpu) => {
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
      optimizer: {
        rules: METHODS.lora.rules,
        gradientAccumulation: 1,
        restarts: restarts !== undefined,
      },
    }, gpu.capabilities);
    const { model: { parameters }, losses: out } = training;
    uploadRope(gpu, training.model);
    await loadWeights(gpu, parameters, only(source.weights, parameters));
    for (const { name, kind, weight } of parameters.all) {
      if (kind !== "adapter") continue;
      const initial = await expected.readFloat32(`initial.${name}`);
      gpu.write(weight, packTensor(weight, initial));
    }

    const losses: number[] = [];
    const schedule: Schedule = {
      scheduler: "constant",
      lr: 0.01,
      steps: STEPS,
      warmupSteps: 0,
      minLrRatio: 1,
      restarts,
    };
    const rates = { ...RATES, jaggedRestartSteps: restarts?.every };
    for (let step = 1; step <= STEPS; step++) {
      const batch = batches[(step - 1) % batches.length], lr = learningRate(schedule, step - 1);
      const options = { step, lr, rates, lossIndex: 0 };
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

/** The weights of a file that these parameters have: those of no product. */
function only(file: WeightFile, { all }: Pick<LlamaParameters, "all">): WeightFile {
  const names = new Set(all.map(({ name }) => name));
  const tensors = new Map([...file.tensors].filter(([name]) => names.has(name)));
  return { ...file, tensors, readFloat32: (...range) => file.readFloat32(...range) };
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
  relora: { optimizer: "relora", jaggedRestartSteps: 2 },
  low_rank: { optimizer: "low_rank", rank: 16 },
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

const RESTARTED = { optimizer: "relora", jaggedRestartSteps: 3, steps: 8, saveEvery: 8 } as const;

for (const weightQuant of [false, true]) {
  trainingTest(
    `relora, INT8: ${weightQuant}: stopped before and after a restart, it has the same bits`,
    () =>
      withWorkshop(async ({ options }) => {
        const sizes = weightQuant ? { weightQuant, weightGroupSize: 64 } : { dtype: "float32" };
        const own = (name: string) => options(name, { ...RESTARTED, ...sizes, saveMinutes: 0 });
        const { events } = await runTraining(own("whole"));
        const rates = events.flatMap((event) => event.type === "step" ? [event.lr] : []);
        const restarted = events.flatMap((event) =>
          event.type === "step" && event.restarted ? [event.step] : []
        );
        assertEquals(restarted, [4, 7]);
        // A warm-up of one step, and a tenth of three: none after a restart.
        assert(rates.slice(1).every((rate) => rate > 0), `${rates}`);
        const bytes = (name: string) =>
          Deno.readFile(join(own(name).output, "model/model.safetensors"));
        for (const until of [3, 4, 6]) {
          const name = `stopped-${until}`;
          await runTraining(own(name), { until });
          await runTraining({ ...own(name), resume: "auto" });
          assertEquals(await bytes(name), await bytes("whole"), name);
        }
        await assertRejects(
          () =>
            runTraining(
              options("stopped-3", {
                ...RESTARTED,
                ...sizes,
                jaggedRestartSteps: 2,
                steps: 9,
                resume: "auto",
              }),
            ),
          UserError,
          "jaggedRestartSteps was 3, is 2",
        );
        // Left open, restarts come as often as before.
        const longer = { ...RESTARTED, ...sizes, jaggedRestartSteps: undefined, steps: 16 };
        await runTraining(options("stopped-3", { ...longer, resume: "auto" }), { until: 9 });
      }),
  );
}

trainingTest("relora of a model: a whole model, of which the embedding is the base's", async () => {
  await withWorkshop(async ({ options, folder }) => {
    await runTraining(options("base", { optimizer: "adamw", dtype: "float32", steps: 2 }));
    const from = join(folder, "base/model");
    const own = (name: string, change = {}) =>
      pretrainOptions.parse({
        from,
        data: [join(folder, "text.txt")],
        evalShare: 0.05,
        output: join(folder, name),
        batchSize: 3,
        seqLen: 24,
        lr: 0.01,
        ...RESTARTED,
        ...change,
      });
    const { events, account } = await runTraining(own("whole"));
    const plan = events.find((event) => event.type === "plan")!;
    assertEquals(plan.planned_peak_bytes, account.peak);
    const config = await readBaseConfig(from);
    const planned = memoryOptions.parse({ from, optimizer: "relora", batchSize: 3, seqLen: 24 });
    const { capabilities } = await sharedGpu();
    assertEquals(
      planMemory(config, trainingShape(planned, config), capabilities).plannedPeakBytes,
      account.peak,
    );
    using base = await Safetensors.open(from);
    using result = await Safetensors.open(join(folder, "whole/model"));
    assertEquals([...result.tensors.keys()].sort(), [...base.tensors.keys()].sort());
    const values = async (name: string) => [
      toBfloat16(await base.readFloat32(name)),
      await result.readFloat32(name),
    ];
    const [embedding, kept] = await values("model.embed_tokens.weight");
    assertEquals(kept, embedding);
    const [before, after] = await values("model.layers.1.mlp.down_proj.weight");
    assert(after.some((value, i) => value !== before[i]), "merged");
    // Step 3 merges and has a rate of zero: what the matrices are then is what W + s·B·A was before.
    const merging = own("merging", {
      dtype: "float32",
      steps: 3,
      saveEvery: 2,
      jaggedRestartSteps: 2,
      jaggedRestartWarmupSteps: 1,
    });
    await runTraining(merging);
    const saved = join(folder, "before");
    await saveCheckpointModel({ run: join(merging.output, "checkpoint-2"), output: saved });
    using sum = await Safetensors.open(saved);
    using merged = await Safetensors.open(join(merging.output, "model"));
    for (const name of base.tensors.keys()) {
      const [first, last] = [await sum.readFloat32(name), await merged.readFloat32(name)];
      assertCloseToLargest(name, last, first, 1e-6);
      const was = await base.readFloat32(name), isAdapted = name.includes("_proj");
      assertEquals(first.some((value, i) => value !== was[i]), isAdapted, name);
    }
    await runTraining(own("stopped"), { until: 3 });
    await runTraining(own("stopped", { resume: "auto" }));
    using again = await Safetensors.open(join(folder, "stopped/model"));
    const name = "model.layers.1.mlp.down_proj.weight";
    assertEquals(await again.readFloat32(name), await result.readFloat32(name));
  });
});

trainingTest("relora by epochs: restarts by the run's length, and a whole model", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const record = { prompt: "2 x red: ", completion: "red red" };
    const data = join(folder, "train.json"), model = `${FIXTURES}models/llama-gqa-tied`;
    await Deno.writeTextFile(data, JSON.stringify(Array(16).fill(record)));
    const own = (change: Record<string, unknown> = {}) =>
      finetuneOptions.parseUnknown({
        model,
        data: [data],
        tokenizer: "bytes",
        output: join(folder, "run"),
        optimizer: "relora",
        epochs: 1,
        batchSize: 2,
        seqLen: 32,
        packing: false,
        evalShare: 0,
        ...change,
      });
    const { events } = await runFinetuning(own());
    const steps = events.filter(({ type }) => type === "step").length;
    const { rates } = await readCheckpointState(join(folder, `run/checkpoint-${steps}`));
    assertEquals(rates.jaggedRestartSteps, Math.ceil(steps / 4));
    const { options } = JSON.parse(await Deno.readTextFile(join(folder, "run/run.json")));
    assertEquals(options.jaggedRestartSteps, Math.ceil(steps / 4));
    using result = await openPretrained(join(folder, "run/model"));
    assertEquals(result.config.hiddenSize, (await readBaseConfig(model)).hiddenSize);
    const never = await runFinetuning(own({ jaggedRestartSteps: 500, output: join(folder, "no") }));
    const warnings = never.events.flatMap((event) =>
      event.type === "warning" ? [event.message] : []
    );
    assert(warnings.some((text) => text.includes("end before adapters are first merged")));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function readCheckpointState(path: string): Promise<RunState> {
  return readRunState(await readCheckpoint(path));
}

const toBfloat16 = (values: Float32Array<ArrayBuffer>) =>
  toFloat32("BF16", fromFloat32("BF16", values));

gpuTest("the product of new factors has the variance of the usual weights", async (gpu) => {
  using scope = new Scope(gpu);
  const config = { ...TINY, hiddenSize: 96, intermediateSize: 256, layers: 1 };
  const parameters = createParameters(scope, config, {
    weights: "float32",
    groupSize: 256,
    embeddings: "float32",
    trained: "all_but_adapted",
    lora: { rank: 24, alpha: 1, targets: PROJECTIONS, merged: true, alone: true },
  });
  assertEquals(parameters.all.filter(({ kind }) => kind === "projection"), []);
  initializeAdapters(gpu, { config, parameters, lora: undefined }, 7);
  for (const { parameter, adapter } of wholeParameters(parameters)) {
    if (!adapter) continue;
    const { name, weight: { shape: [out, inner] } } = parameter;
    const energy = (values: Float32Array) => values.reduce((sum, x) => sum + x * x, 0);
    const whole = await mergedValues(gpu, parameter, adapter)(0, out * inner);
    // The rank's directions are few: their energies vary by √(2/r) of the whole or less.
    const deviation = Math.sqrt(energy(whole) / (out * inner)) / config.initializerRange;
    assert(Math.abs(deviation - 1) < 0.1, `${name}: ${deviation}`);
    const [a, b] = [await download(gpu, adapter.a.weight), await download(gpu, adapter.b.weight)];
    const ratio = energy(a) / energy(b);
    assert(Math.abs(ratio - 1) < 0.2, `${name}: |A|² / |B|² = ${ratio}`);
    assertEquals(adapter.a.shape[0], Math.min(24, out, inner));
  }
});

gpuTest(
  "a new adapter of random weights has the variance of a uniform one, and changes nothing",
  async (gpu) => {
    using scope = new Scope(gpu);
    const parameters = createParameters(scope, { ...TINY, hiddenSize: 96 }, {
      weights: "float32",
      groupSize: 256,
      embeddings: "float32",
      trained: "all_but_adapted",
      lora: { rank: 24, alpha: 1, targets: PROJECTIONS, merged: true },
    });
    initializeAdapters(gpu, { config: TINY, parameters, lora: undefined }, 7);
    for (const { adapter } of wholeParameters(parameters)) {
      if (!adapter) continue;
      const { a, b } = adapter, values = await download(gpu, a.weight), inner = a.shape[1];
      const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
      // The relative error of a variance is √(2/n).
      const error = Math.abs(3 * inner * variance - 1);
      assert(error < 5 * Math.sqrt(2 / values.length), `${a.name}: ${error}`);
      assert((await download(gpu, b.weight)).every((value) => value === 0), b.name);
    }
  },
);

gpuTest("beside factors, all else begins as beside matrices", async (gpu) => {
  const first = async (optimizer: "adamw" | "low_rank") => {
    using scope = new Scope(gpu);
    const options = pretrainOptions.parse({ model: "./-", data: ["-"], output: "-", optimizer });
    const shape = trainingShape({ ...options, batchSize: 1, seqLen: 8 }, TINY);
    const { model: { parameters }, scratch } = buildTraining(scope, TINY, shape, gpu.capabilities);
    await initializeAll(gpu, TINY, parameters, { seed: 5, scratch });
    return await Promise.all(
      [parameters.embedding, parameters.head].map(({ weight }) => gpu.read(weight)),
    );
  };
  assertEquals(await first("low_rank"), await first("adamw"));
});

Deno.test("a rank is a quarter of the width from random weights, and at most a matrix's sides", () => {
  const lora = (options: Record<string, unknown>) =>
    memoryOptions.parse({ model: "llama_60m", optimizer: "lora", ...options });
  assertEquals([lora({}).finetune, lora({}).loraRank], [true, 8]);
  assertEquals([lora({ finetune: false }).finetune, lora({ finetune: false }).loraRank], [
    false,
    undefined,
  ]);
});

Deno.test("restarts that are left open come after the warm-up, and rates rise in two steps at least", () => {
  const decided = (steps: number, warmupSteps: number, open = {}) =>
    Object.values(decidedRestarts(open, { steps, warmupSteps }));
  assertEquals(decided(100, 10), [25, 2]);
  assertEquals(decided(12, 1), [3, 0]);
  assertEquals(decided(100, 60), [60, 6]);
  assertEquals(decided(100_000, 10_000), [10_000, 100]);
  const given = { model: "llama_nano", data: ["-"], output: "-", optimizer: "relora" } as const;
  const { warmupSteps } = pretrainOptions.parse({ ...given, steps: 1000, jaggedRestartSteps: 20 });
  assertEquals(warmupSteps, 20);
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
  [{ optimizer: "low_rank", weightQuant: true }, "weightQuant: INT8 weights need the optimizer"],
  [{ optimizer: "low_rank", loraRank: 4 }, "loraRank: needs the optimizer lora or qlora or relora"],
  [{ optimizer: "low_rank", updateProjGap: 4 }, "updateProjGap: needs the optimizer q_galore"],
  [{ optimizer: "lora", jaggedRestartSteps: 5 }, "jaggedRestartSteps: needs the optimizer relora"],
  [
    { optimizer: "relora", steps: 20, jaggedRestartSteps: 20 },
    "jaggedRestartSteps: must be fewer than the run's 20 steps, got 20: it would never restart",
  ],
  [
    { optimizer: "relora", jaggedRestartSteps: 20, jaggedRestartWarmupSteps: 20 },
    "jaggedRestartWarmupSteps: must be fewer than the 20 steps from one restart to the next, got 20",
  ],
  [
    { optimizer: "relora", steps: 100, jaggedRestartWarmupSteps: 30 },
    "jaggedRestartWarmupSteps: must be fewer than the 25 steps from one restart to the next, got 30",
  ],
  [
    { optimizer: "relora", steps: 100, warmupSteps: 60, jaggedRestartSteps: 20 },
    "jaggedRestartSteps: must be at least the 60 steps in which the learning rate rises, got 20",
  ],
];

for (const [given, message] of REFUSED) {
  Deno.test(`from random weights ${JSON.stringify(given)} is refused`, () => {
    const base = { model: "llama_nano", data: ["-"], output: "-" };
    const error = assertThrows(() => pretrainOptions.parse({ ...base, ...given }), OptionsError);
    assert(error.message.includes(message), error.message);
  });
}

for (
  const [given, message] of [
    [{ steps: 9, jaggedRestartSteps: 9 }, "jaggedRestartSteps: must be fewer than the run's 9"],
    [{ steps: 9, useDora: true }, "useDora: keeps lengths of rows"],
    [{ steps: 9, loraTarget: ["lm_head"] }, "loraTarget: has embed_tokens or lm_head, into which"],
    [{ steps: 9, adapter: "a" }, "adapter: is trained further by the optimizer lora or qlora"],
  ] as const
) {
  Deno.test(`fine-tuning by relora with ${JSON.stringify(given)} is refused`, () => {
    const base = { model: "m", data: ["-"], output: "-", optimizer: "relora" };
    const error = assertThrows(
      () => finetuneOptions.parseUnknown({ ...base, ...given }),
      OptionsError,
    );
    assert(error.message.includes(message), error.message);
  });
}

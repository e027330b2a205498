/** Every option beside every method: it changes the run, or it is refused. */
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { writeHfConfig } from "../../src/formats/hf_config.ts";
import { loadWeights, saveWeights } from "../../src/formats/pretrained.ts";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { PRESETS } from "../../src/model/config.ts";
import { initialize } from "../../src/model/initialize.ts";
import { uploadRope } from "../../src/model/llama.ts";
import { OptionsError } from "../../src/options/faults.ts";
import { buildTraining } from "../../src/train/build.ts";
import { effective } from "../../src/train/effect.ts";
import { FINETUNE_EFFECTS, PRETRAIN_EFFECTS } from "../../src/train/option_effects.ts";
import { type FinetuneOptions, finetuneOptions } from "../../src/train/finetune_options.ts";
import { initializeAdapters } from "../../src/train/initialize_adapters.ts";
import { optimizerRates, trainingShape } from "../../src/train/method.ts";
import { FINETUNE_METHODS, isLowRank } from "../../src/train/method_fields.ts";
import { METHOD_NAMES, type MethodName, methodOf } from "../../src/train/methods.ts";
import { clippingOf } from "../../src/optim/optimizer_shape.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { planMemory } from "../../src/train/plan.ts";
import { RecordedStep } from "../../src/train/step.ts";
import { download, randomStream, sharedGpu } from "../support.ts";
import { TINY, trainingTest } from "./support.ts";

/** One more than the steps after which {@link usual} lengthens the interval of refreshes. */
const STEPS = 4, LENGTH = 8;

/** Of rank 8, a low-rank gradient is large enough for moments of 4 bits. */
const CONFIG = { ...TINY, layers: 1, intermediateSize: 512 };

/** The values tried, each other than {@link usual}. */
const CHANGES: Readonly<Record<string, unknown>> = {
  dtype: "float32",
  lr: 0.003,
  beta1: 0.5,
  beta2: 0.9,
  adamEps: 0.1,
  weightDecay: 0.5,
  maxGradNorm: 1e-3,
  fira: true,
  stableSpam: true,
  momentumReset: 2,
  gradientAccumulation: 2,
  accumulatorQuant: true,
  rank: 4,
  galoreScale: 2,
  apolloScale: 2,
  updateProjGap: 3,
  cosThreshold: 1,
  gammaProj: 3,
  queueSize: 3,
  weightQuant: true,
  projQuant: true,
  weightGroupSize: 64,
  projGroupSize: 64,
  embeddingOptimizer: "adamw8bit",
  embeddingAdam8bit: true,
  adam4bit: true,
  stochasticRound: true,
  trainEmbeddings: true,
  embeddingQuant: true,
  embedding4bit: true,
  loraRank: 4,
  loraAlpha: 5,
  useRslora: true,
  useDora: true,
  loraDropout: 0.5,
  loraTarget: ["q_proj"],
  loraplusLrRatio: 4,
  jaggedRestartSteps: 2,
  loraplusLrEmbedding: 1e-3,
  neftuneNoiseAlpha: 5,
};

/** Options whose effect does not depend on the method: other tests show it. */
const OF_NO_METHOD = [
  ..."model activationCheckpointing activationQuant batchSize layerwise seqLen optimizer data"
    .split(" "),
  ..."dataset datasetDir".split(" "),
  ..."evalData evalDataset evalShare maxSamples dataFormat template defaultSystem trainOnPrompt"
    .split(" "),
  ..."packing tokenizer textField preview energyShare epochs steps warmupRatio".split(" "),
  ..."earlyStoppingPatience earlyStoppingThreshold ropeScaling seed skipUnusable".split(" "),
  ..."warmupSteps scheduler minLrRatio output evalEvery saveEvery samplePrompt saveMinutes".split(
    " ",
  ),
  ..."sampleTokens keepCheckpoints gpuMemory tune loadBestModelAtEnd overwriteOutput resume".split(
    " ",
  ),
  ..."adapter addTokens offloadEmbedding jaggedRestartWarmupSteps".split(" "),
  ..."shardStates shardWeights".split(" "),
  // Of them relora is refused, where a test of ranks trains the others: tests/parallel.
  ..."communicationDataType localSteps outerLr outerMomentum".split(" "),
];

/** A setting in which each option of a method has something to change. */
function usual(optimizer: MethodName): Record<string, unknown> {
  const method = methodOf(optimizer), lowRank = isLowRank(method);
  return {
    model: "-",
    data: ["-"],
    output: "-",
    optimizer,
    batchSize: 2,
    seqLen: LENGTH,
    lr: 0.01,
    ...(lowRank
      ? { rank: 8, updateProjGap: 1, cosThreshold: 0, gammaProj: 2, queueSize: 2 }
      : undefined),
    ...(method.apollo && { updateProjGap: 1 }),
    ...(method.restarts && { jaggedRestartSteps: 3 }),
  };
}

Deno.test("every option is tried, or does not depend on the method", () => {
  assertEquals(
    Object.keys(finetuneOptions.fields).toSorted(),
    [...Object.keys(CHANGES), ...OF_NO_METHOD].toSorted(),
  );
});

for (const optimizer of FINETUNE_METHODS) {
  trainingTest(`${optimizer}: an option changes the trained weights, or is refused`, async () => {
    const gpu = await sharedGpu(), folder = await Deno.makeTempDir();
    try {
      await saveInitial(gpu, folder);
      const base = { ...usual(optimizer), stochasticRound: false };
      if (methodOf(optimizer).trains === "adapters") base.stochasticRound = undefined!;
      const before = await Array.fromAsync(steps(gpu, folder, finetuneOptions.parseUnknown(base)));
      const idle: string[] = [];
      for (const [option, value] of Object.entries(CHANGES)) {
        const options = accepted({ ...base, [option]: value });
        // Switched on by the method already: the other value is the change.
        const changed = options && (options as unknown as Record<string, unknown>)[option] ===
            (finetuneOptions.parseUnknown(base) as unknown as Record<string, unknown>)[option]
          ? finetuneOptions.parseUnknown({ ...base, [option]: false })
          : options;
        if (changed && !await differ(before, steps(gpu, folder, changed))) idle.push(option);
      }
      assertEquals(idle, []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("memory: an option changes the plan, or is refused", () => {
  // These change what is trained or shown, not its size.
  const free = ["loraAlpha", "useRslora", "loraDropout", "fit", "allocate", "table", "plot"];
  const values: Record<string, unknown> = {
    ...CHANGES,
    activationCheckpointing: true,
    activationQuant: true,
    layerwise: false,
    finetune: true,
    offloadEmbedding: true,
    batchSize: 8,
    seqLen: 32,
    rank: 5,
    vocabSize: 300,
    ranks: 2,
    shardStates: true,
    shardWeights: true,
  };
  for (const optimizer of METHOD_NAMES) {
    for (const field of Object.keys(memoryOptions.fields)) {
      if (["model", "from", "optimizer", ...free].includes(field)) continue;
      assert(field in values, field);
      // Adapters that are clipped keep their gradients, whatever the accumulation.
      const base = {
        model: "./config.json",
        optimizer,
        gradientAccumulation: 1,
        maxGradNorm: 0,
      };
      const tunes = FINETUNE_METHODS.includes(optimizer);
      for (const finetune of tunes ? [undefined, true] : [undefined]) {
        const given = { ...base, ...(finetune && { finetune }) };
        const before = memoryOptions.parse(given) as unknown as Record<string, unknown>;
        const value = before[field] === values[field] ? false : values[field];
        let after;
        try {
          after = memoryOptions.parse({ ...given, [field]: value });
        } catch (error) {
          assert(error instanceof OptionsError, `${optimizer} ${field}: ${error}`);
          assertEquals(error.faults.map(({ option }) => option), [field], `${optimizer} ${field}`);
          continue;
        }
        assertNotEquals(planOf(after), planOf(before as never), `${optimizer} ${field} ${value}`);
      }
    }
  }
});

for (
  const [given, message] of [
    [{ steps: 5, epochs: 2 }, "epochs: has no effect beside steps"],
    [{ warmupSteps: 5, warmupRatio: 0.1 }, "warmupRatio: has no effect beside warmupSteps"],
    [{ evalData: ["x"], evalShare: 0.1 }, "evalShare: holds nothing out beside evalData"],
    [{ datasetDir: "x" }, "datasetDir: needs dataset"],
    [{ data: undefined, dataset: ["x"], dataFormat: "alpaca" }, "dataFormat: applies to the files"],
    [{ scheduler: "constant", minLrRatio: 0.1 }, "minLrRatio: has no effect with scheduler:"],
    [{ loadBestModelAtEnd: true }, "loadBestModelAtEnd: needs evaluations during the run: evalEv"],
    [
      { evalEvery: 5, evalShare: 0, earlyStoppingPatience: 1 },
      "earlyStoppingPatience: needs held-out data: evalShare or evalData",
    ],
    [{ earlyStoppingThreshold: 1 }, "earlyStoppingThreshold: needs earlyStoppingPatience"],
    [{ sampleTokens: 9 }, "sampleTokens: needs samplePrompt"],
    [{ optimizer: "lora", stochasticRound: true }, "stochasticRound: applies to INT8 and bfloat16"],
    [{ optimizer: "lora", layerwise: false }, "layerwise: applies to more than adapters, whose"],
    [{ optimizer: "qlora", layerwise: true }, "layerwise: applies to more than adapters, whose"],
    [
      { optimizer: "lora", useDora: true, loraTarget: ["all", "lm_head"] },
      "useDora: is of projections: leave embed_tokens and lm_head out of loraTarget, or train them",
    ],
    [
      { optimizer: "lora", loraplusLrEmbedding: 1e-5 },
      "loraplusLrEmbedding: needs another loraplusLrRatio than 1",
    ],
    [
      { optimizer: "lora", loraplusLrRatio: 4, loraplusLrEmbedding: 1e-5 },
      "loraplusLrEmbedding: needs embed_tokens in loraTarget",
    ],
    [{ rank: 8, energyShare: 0.5 }, 'energyShare: needs rank: "auto"'],
    [
      { rank: "auto", shardWeights: true },
      "shardWeights: cannot measure first gradients: give rank",
    ],
    [
      { optimizer: "lora", useDora: true, shardWeights: true },
      "shardWeights: gathers a layer as it runs, and useDora: true needs the lengths of all rows",
    ],
    [
      { samplePrompt: ["x"], shardWeights: true },
      "samplePrompt: would gather all layers for each token with shardWeights: true",
    ],
    [
      { communicationDataType: "bfloat16", shardWeights: true },
      "communicationDataType: does not apply to shardWeights: true, whose sums are float32",
    ],
    [
      { localSteps: 4, shardWeights: true },
      "localSteps: gives every process weights and states of its own, and shardWeights: true shares",
    ],
    [{ embeddingOptimizer: "adam_factored" }, "embeddingOptimizer: needs trainEmbeddings: true"],
    [
      { trainEmbeddings: true, embeddingOptimizer: "adamw", embeddingAdam8bit: true },
      "embeddingAdam8bit: is the former name of embeddingOptimizer: keep only that",
    ],
    [
      { addTokens: ["<|x|>"], embedding4bit: true },
      "embedding4bit: needs a frozen embedding and head, which addTokens trains",
    ],
    [
      { optimizer: "galore_adamw", trainEmbeddings: true, offloadEmbedding: true },
      "offloadEmbedding: needs a frozen embedding and head, which trainEmbeddings: true trains: " +
      'training them takes least memory with embeddingOptimizer: "adam_factored"',
    ],
    [
      { optimizer: "lora", gradientAccumulation: 2, accumulatorQuant: true },
      "accumulatorQuant: sums gradients of full rank, of which lora has none without trainEmbeddings",
    ],
    [
      { optimizer: "scale", gradientAccumulation: 2, accumulatorQuant: true, layerwise: false },
      "accumulatorQuant: layerwise: false keeps gradients in float32: give one of them",
    ],
    [
      { optimizer: "qlora", trainEmbeddings: true, accumulatorQuant: true },
      "accumulatorQuant: needs gradientAccumulation above 1: a single batch has nothing to sum",
    ],
    [
      { embeddingQuant: true, embedding4bit: true },
      "embedding4bit: stores embedding and head in 4 bits, embeddingQuant: true in 8: keep only one",
    ],
  ] as const
) {
  Deno.test(`refuses ${JSON.stringify(given)}`, () => {
    const base = { model: "-", data: ["-"], output: "-" };
    assertThrows(() => finetuneOptions.parseUnknown({ ...base, ...given }), OptionsError, message);
  });
}

Deno.test("what trains an embedding with least memory is not advised where it is the default", () => {
  const given = { model: "-", data: ["-"], output: "-", trainEmbeddings: true };
  const refused = () => finetuneOptions.parse({ ...given, embedding4bit: true });
  const { message } = assertThrows(refused, OptionsError);
  assertEquals(message.includes("least memory"), false, message);
});

Deno.test("beside adapters, the gradients of embedding and head are summed in INT8", () => {
  const config = PRESETS.llama_7b;
  const gradients = (optimizer: MethodName, accumulatorQuant: boolean) => {
    const size = { model: "llama_7b", optimizer, trainEmbeddings: true, gradientAccumulation: 2 };
    const options = memoryOptions.parse({ ...size, accumulatorQuant });
    return planMemory(config, trainingShape(options, config)).byPurpose.gradients;
  };
  for (const optimizer of ["lora", "qlora"] as const) {
    const saved = gradients(optimizer, false) - gradients(optimizer, true);
    // 3 of 4 bytes of each element, less a block of rows in which the sums are read.
    const tables = 2 * config.vocabSize * config.hiddenSize;
    assert(saved > 3 * tables - (40 << 20) && saved <= 3 * tables, `${saved}`);
  }
});

Deno.test("beside other weights, adapters wait for a common norm where that is asked for", () => {
  const tuned = { model: "-", data: ["-"], output: "-", optimizer: "lora" } as const;
  assertEquals(
    finetuneOptions.parse({ ...tuned, trainEmbeddings: true, layerwise: false }).layerwise,
    false,
  );
  for (const optimizer of ["lora", "relora", "low_rank"] as const) {
    const given = { model: "llama_nano", data: ["-"], output: "-", optimizer, maxGradNorm: 1 };
    for (const [layerwise, expected] of [[true, "matrix"], [false, "step"]] as const) {
      const options = pretrainOptions.parse({ ...given, layerwise });
      const { optimizer: shape } = trainingShape(options, PRESETS.llama_nano);
      assertEquals(clippingOf(shape, false), expected, optimizer);
      assertEquals(effective(PRETRAIN_EFFECTS, { ...given, layerwise }).layerwise, layerwise);
    }
  }
});

Deno.test("what is written, and its format, decide whether it is rounded stochastically", () => {
  const start = { model: "llama_nano", data: ["-"], output: "-", stochasticRound: true };
  for (
    const given of [
      { optimizer: "lora", embeddingQuant: true, dtype: "float32" },
      { optimizer: "low_rank" },
      { optimizer: "low_rank", embeddingQuant: true, dtype: "float32" },
      { optimizer: "relora" },
      { optimizer: "relora", weightQuant: true, dtype: "float32" },
    ] as const
  ) {
    assert(pretrainOptions.parse({ ...start, ...given }).stochasticRound, `${given.optimizer}`);
  }
  for (const optimizer of ["low_rank", "relora", "lora"] as const) {
    const exact = () => pretrainOptions.parse({ ...start, optimizer, dtype: "float32" });
    const { message } = assertThrows(exact, OptionsError);
    assert(message.includes('not with dtype: "float32"'), message);
  }
});

Deno.test("a stored job runs without the options that an earlier version ignored", () => {
  const stored = {
    optimizer: "adamw",
    rank: 4,
    weightGroupSize: 64,
    lr: 0.1,
    weightQuant: false,
    embeddingAdam8bit: false,
  };
  assertEquals(effective(FINETUNE_EFFECTS, stored), {
    optimizer: "adamw",
    lr: 0.1,
    weightQuant: false,
  });
});

function planOf(options: ReturnType<typeof memoryOptions.parse>): string {
  const config = { ...CONFIG, layers: 2 };
  return JSON.stringify(planMemory(config, trainingShape(options, config)));
}

/** The options, unless they are refused for one that has no effect. */
function accepted(given: Record<string, unknown>): FinetuneOptions | undefined {
  try {
    return finetuneOptions.parseUnknown(given);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    assertEquals(error.faults.length, 1, error.message);
  }
}

/** A model of {@link CONFIG} with random weights. */
async function saveInitial(gpu: Gpu, folder: string): Promise<void> {
  const scope = new Scope(gpu), options = finetuneOptions.parseUnknown({ ...usual("adamw") });
  const { model, scratch } = buildTraining(
    scope,
    CONFIG,
    trainingShape(options, CONFIG),
    gpu.capabilities,
  );
  const pass = new KernelPass(gpu);
  initialize(gpu, pass, CONFIG, model.parameters, { seed: 3, scratch });
  pass.submit();
  await saveWeights(gpu, model.parameters, folder, "bfloat16");
  await writeHfConfig(folder, CONFIG, "bfloat16");
  scope.release();
}

/** Most options show at the first step. */
async function differ(before: readonly string[], after: AsyncIterable<string>): Promise<boolean> {
  let step = 0;
  for await (const hash of after) if (hash !== before[step++]) return true;
  return false;
}

/** Hashes of the weights after each of some steps on random tokens. */
async function* steps(gpu: Gpu, folder: string, options: FinetuneOptions): AsyncGenerator<string> {
  const scope = new Scope(gpu);
  try {
    const training = buildTraining(
      scope,
      CONFIG,
      trainingShape(options, CONFIG),
      gpu.capabilities,
    );
    const { model, optimizer, load } = training;
    uploadRope(gpu, model);
    using source = await openPretrained(folder);
    await loadWeights(gpu, model.parameters, source.weights, { workspace: load });
    initializeAdapters(gpu, model, options.seed);
    const next = randomStream(1), rows = options.batchSize * LENGTH;
    const draw = () => Math.floor(next() * CONFIG.vocabSize);
    for (let step = 1; step <= STEPS; step++) {
      const batches = Array.from({ length: options.gradientAccumulation }, () => ({
        inputs: Uint32Array.from({ length: rows }, draw),
        targets: Int32Array.from({ length: rows }, draw),
        tokens: rows,
      }));
      const rates = optimizerRates(options);
      const given = { step, lr: options.lr, rates, lossIndex: 0 };
      await new RecordedStep(gpu, training, batches, given).give();
      if (optimizer.refreshes.now) {
        optimizer.refreshes.record(await download(gpu, optimizer.scratch.similarities));
      }
      const hash = createHash("sha256");
      for (const { weight, trainable } of model.parameters.all) {
        if (trainable) hash.update(await gpu.read(weight));
      }
      yield hash.digest("hex");
    }
  } finally {
    scope.release();
  }
}

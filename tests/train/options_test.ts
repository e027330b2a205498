import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { PRESETS } from "../../src/model/config.ts";
import { spell } from "../../src/options/phrase.ts";
import { PROPERTIES } from "../../src/options/spelling.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { METHOD_NAMES } from "../../src/train/methods.ts";
import { type PretrainOptions, pretrainOptions } from "../../src/train/options.ts";
import { rankOf } from "../../src/train/presets.ts";
import { nearestWord, OptionsError } from "../../src/options/faults.ts";
import { defineOptions, fieldInfo } from "../../src/options/schema.ts";

const GIVEN = { model: "llama_60m", data: ["a.txt"], output: "run" };

Deno.test("defaults are Q-GaLore's", () => {
  const options: PretrainOptions = pretrainOptions.parse(GIVEN);
  assertEquals(options, {
    ...GIVEN,
    dtype: "bfloat16",
    activationCheckpointing: false,
    activationQuant: false,
    batchSize: 16,
    gradientAccumulation: 1,
    accumulatorQuant: false,
    seqLen: 256,
    optimizer: "q_galore_adamw8bit",
    communicationDataType: "float32",
    outerLr: 0.7,
    outerMomentum: 0.9,
    weightQuant: true,
    projQuant: true,
    maxGradNorm: 0,
    layerwise: true,
    fira: false,
    stableSpam: false,
    momentumReset: 0,
    adam4bit: false,
    embeddingQuant: false,
    embedding4bit: false,
    offloadEmbedding: false,
    weightGroupSize: 256,
    projGroupSize: 256,
    evalShare: 0.01,
    textField: "text",
    packing: "packed",
    shuffleBuffer: 1000,
    energyShare: 0.9,
    galoreScale: 0.25,
    apolloScale: 1,
    updateProjGap: 200,
    cosThreshold: 0.4,
    gammaProj: 2,
    queueSize: 5,
    stochasticRound: true,
    trainEmbeddings: false,
    useRslora: false,
    useDora: false,
    loraDropout: 0,
    loraTarget: ["all"],
    loraplusLrRatio: 1,
    lr: 0.01,
    beta1: 0.9,
    beta2: 0.999,
    adamEps: 1e-8,
    weightDecay: 0,
    steps: 10_000,
    warmupSteps: 1000,
    scheduler: "cosine",
    minLrRatio: 0.1,
    seed: 42,
    evalEvery: 1000,
    saveEvery: 1000,
    sampleTokens: 48,
    keepCheckpoints: 2,
    loadBestModelAtEnd: false,
    earlyStoppingThreshold: 0,
    tune: true,
    shardStates: false,
    shardWeights: false,
    overwriteOutput: false,
  });
});

Deno.test("defaults that depend on other options follow them", () => {
  const { lr, warmupSteps, weightQuant, projQuant, stochasticRound } = pretrainOptions.parse({
    ...GIVEN,
    optimizer: "adamw",
    steps: 55,
  });
  assertEquals([lr, warmupSteps], [0.001, 6]);
  assertEquals([weightQuant, projQuant, stochasticRound], [false, false, false]);
  assertStrictEquals(
    pretrainOptions.parse({ ...GIVEN, weightQuant: false }).stochasticRound,
    false,
  );
  assertStrictEquals(pretrainOptions.parse({ ...GIVEN, lr: 0.5 }).lr, 0.5);
});

Deno.test("an optimizer's other name is its name", () => {
  const { optimizer } = memoryOptions.parse({
    model: "llama_7b",
    optimizer: "galore_adamw_8bit",
  });
  assertStrictEquals(optimizer, "galore_adamw8bit");
});

Deno.test("the rank is a quarter of the width unless given", () => {
  assertStrictEquals(rankOf({}, PRESETS.llama_nano), 32);
  assertStrictEquals(rankOf({}, PRESETS.llama_60m), 128);
  assertStrictEquals(rankOf({}, PRESETS.llama_7b), 1024);
  assertStrictEquals(rankOf({ rank: 5 }, PRESETS.llama_7b), 5);
  assertStrictEquals(rankOf({ rank: "auto" }, PRESETS.llama_7b), 1024);
  assertStrictEquals(rankOf({}, { ...PRESETS.llama_nano, hiddenSize: 12 }), 8);
});

Deno.test("all faults are reported at once", () => {
  const error = assertThrows(
    () =>
      pretrainOptions.parseUnknown({
        model: "llama_60",
        batchSize: 0,
        seqLen: 1.5,
        lr: "fast",
        weightGroupSize: 100,
        optimizer: "galore_adam",
        beta1: 1,
        evalData: [],
        steps: 10,
        warmupSteps: 11,
        colour: "red",
        stepz: 4,
      }),
    OptionsError,
  );
  assertEquals(
    error.message.split("\n"),
    [
      "colour: unknown option",
      "stepz: unknown option (did you mean steps?)",
      "batchSize: must be at least 1, got 0",
      "seqLen: must be a whole number, got 1.5",
      `optimizer: must be one of ${METHOD_NAMES.join(", ")}, galore_adamw_8bit, got ` +
      "galore_adam (did you mean galore_adamw?)",
      "weightGroupSize: must be a multiple of 8, got 100",
      "data: is required",
      "evalData: must not be empty",
      "lr: must be a number, got fast",
      "beta1: must be at most 0.9999999, got 1",
      "output: is required",
      "model: unknown preset llama_60; write a path with a slash or a dot: ./llama_60 " +
      "(did you mean llama_60m?)",
      "warmupSteps: must be at most the run's 10 steps, got 11",
    ].sort((a, b) => error.message.indexOf(a) - error.message.indexOf(b)),
  );
});

for (
  const [given, message] of [
    [{ optimizer: "qlora", from: "-", weightQuant: true }, "weightQuant: INT8 weights need"],
    [{ optimizer: "galore_adamw", projQuant: true }, "projQuant: an INT4 projection needs"],
    [
      { optimizer: "adamw", dtype: "float32", stochasticRound: true },
      'stochasticRound: applies to INT8 and bfloat16 weights, not with dtype: "float32"',
    ],
    [
      { weightQuant: false, dtype: "float32", stochasticRound: true },
      'stochasticRound: applies to INT8 and bfloat16 weights, not with dtype: "float32"',
    ],
    [{ rank: "auto", optimizer: "adamw" }, "or q_apollo or q_apollo_mini or low_rank, got adamw"],
    [{ rank: 8, optimizer: "muon" }, "rank: needs the optimizer q_galore_adamw8bit or galore_ada"],
    [
      { rank: "auto", optimizer: "q_apollo" },
      "rank: auto keeps a share of what GaLore projects to: give a number with q_apollo",
    ],
    [{ apolloScale: 1, optimizer: "scale" }, "apolloScale: needs the optimizer apollo or"],
    [{ galoreScale: 1, optimizer: "muon8bit" }, "galoreScale: needs the optimizer q_galore"],
    [{ updateProjGap: 50, optimizer: "adamw8bit" }, "updateProjGap: needs the optimizer q_galore"],
    [{ cosThreshold: 0.5, optimizer: "adamw" }, "cosThreshold: needs the optimizer q_galore"],
    [{ gammaProj: 3, optimizer: "adamw" }, "gammaProj: needs the optimizer q_galore"],
    [{ queueSize: 3, optimizer: "adamw" }, "queueSize: needs the optimizer q_galore"],
    [{ rank: "some" }, "rank: must be a whole number of at least 1, or auto, got some"],
    [{ rank: 8, energyShare: 0.5 }, 'energyShare: needs rank: "auto"'],
  ] as const
) {
  Deno.test(`refuses ${JSON.stringify(given)}`, () => {
    assertThrows(() => pretrainOptions.parseUnknown({ ...GIVEN, ...given }), OptionsError, message);
  });
}

Deno.test("a plan of memory needs a rank in numbers", () => {
  assertThrows(
    () => memoryOptions.parse({ model: "llama_7b", rank: "auto" }),
    OptionsError,
    "rank: auto depends on the training data: give a number to plan with",
  );
});

Deno.test("switching off what is off already is no fault", () => {
  const options = pretrainOptions.parse({ ...GIVEN, optimizer: "adamw", weightQuant: false });
  assertStrictEquals(options.weightQuant, false);
});

Deno.test("a path is not looked up among the presets", () => {
  for (const model of ["./llama", "configs/mine.json", "config.json"]) {
    assertStrictEquals(pretrainOptions.parse({ ...GIVEN, model, rank: 9999 }).model, model);
  }
});

Deno.test("every option of a run has a description, and a section", () => {
  for (const [name, field] of Object.entries(pretrainOptions.fields)) {
    const info = fieldInfo(field);
    assert(spell(info.description, PROPERTIES).length > 10, name);
    assert(info.section !== "Other", name);
  }
});

Deno.test("options without rules need none", () => {
  assertEquals(defineOptions({ fields: {} }).parseUnknown(undefined), {});
});

Deno.test("the nearest word is suggested only if it is near", () => {
  const known = ["pretrain", "eval", "lr"];
  assertStrictEquals(nearestWord("pretrian", known), "pretrain");
  assertStrictEquals(nearestWord("pre", known), "pretrain");
  assertStrictEquals(nearestWord("Evl", known), "eval");
  assertStrictEquals(nearestWord("xy", known), undefined);
  assertStrictEquals(nearestWord("finetune", known), undefined);
});

/**
 * The options of a fine-tuning run, each declared once, as in options.ts.
 *
 * @module
 */
import { z } from "../packages/zod.ts";
import { FORMATS } from "../data/instruct/record_format.ts";
import { TEMPLATE_NAMES } from "../data/instruct/templates.ts";
import {
  embedding4bit,
  embeddingQuant,
  FINETUNE_METHODS,
  offloadEmbedding,
  optimizerField,
  quantisation,
  quantisesEmbeddings,
  ratesText,
} from "./method_fields.ts";
import { methodOf } from "./methods.ts";
import {
  baseModel,
  count,
  FINETUNE_GRAD_NORM,
  inMemoryToo,
  loraFields,
  loraRateFields,
  loraSizes,
  memoryFields,
  MOMENTUM_RESET,
  neftuneNoiseAlpha,
  optimizerFields,
  orNever,
  rankFields,
  restartFields,
  ropeScaling,
  runFields,
  scheduleFields,
  share,
  strings,
  textField,
  trainEmbeddings,
  USUAL_LORA_RANK,
} from "./fields.ts";
import { effectRules } from "./effect.ts";
import { FINETUNE_EFFECTS } from "./option_effects.ts";
import { parallelFields } from "./parallel_fields.ts";
import { overwriteRule, restartRules, warmupRule } from "./option_rules.ts";
import { option, phrase } from "../options/phrase.ts";
import type { FinetuneInput, FinetuneOptions } from "./option_types.ts";
import { LEAST_STEPS, MOST_EPOCHS, USUAL_EPOCHS } from "./small_set.ts";
import { defineOptions, described, type Options, type Rule, section } from "../options/schema.ts";

export type { FinetuneInput, FinetuneOptions } from "./option_types.ts";

/** The layout of the examples in a file; `auto` decides by the fields of the first. */
export const DATA_FORMATS = ["auto", ...FORMATS] as const;

const modelFields = section("Model", {
  model: baseModel,
  adapter: z.string().min(1).optional().describe(
    "folder of an adapter in peft's layout to train further, with its own modules, ranks and alphas",
  ).meta({ value: "dir" }),
});

const batchFields = section("Batch", {
  batchSize: count().default(4).describe("sequences per batch")
    .meta({ value: "B" }),
  seqLen: count().default(512).describe("tokens per sequence; longer examples are truncated")
    .meta({ value: "T" }),
  ropeScaling: ropeScaling.optional(),
});

const dataFields = section("Data", {
  data: inMemoryToo(
    strings().optional().describe(
      "training examples (Alpaca, ShareGPT, messages, prompt and completion): JSON, JSON Lines, " +
        "CSV, Parquet or Arrow files, also compressed; folders, patterns (data/*.jsonl), - for " +
        "standard input, or hf:…; .txt files continue pre-training",
    ).meta({ value: "file|dir|hf:…" }),
  ),
  dataset: strings().optional().meta(described(
    phrase`datasets by their names in the dataset_info.json of ${option("datasetDir")}`,
  )).meta({ value: "name" }),
  datasetDir: z.string().min(1).default("data").describe("folder containing dataset_info.json")
    .meta({ value: "dir" }),
  evalData: inMemoryToo(
    strings().optional().describe("evaluation examples; nothing is then held out")
      .meta({ value: "file|dir|hf:…" }),
  ),
  evalDataset: strings().optional().describe("evaluation datasets by name")
    .meta({ value: "name" }),
  evalShare: z.number().min(0).refine(
    (value) => value <= 0.5 || (value >= 1 && Number.isInteger(value)),
    { error: "must be at most 0.5, or a whole number of examples" },
  ).default(0.05).describe(
    "share of the examples held out for evaluation if no evaluation data is given; 1 or more: " +
      "their number; 0: none",
  ),
  maxSamples: count().optional().describe("use only the first n examples"),
  dataFormat: z.enum(DATA_FORMATS).default("auto").describe("format of the examples"),
  template: z.string().min(1).default("default").describe(
    `chat template: the tokenizer's own, or one of ${TEMPLATE_NAMES.slice(1).join(", ")}`,
  ).meta({ value: "name", proposals: TEMPLATE_NAMES }),
  skipUnusable: z.boolean().default(false).describe(
    "leave out examples that cannot be trained on as they are, instead of refusing the data",
  ),
  defaultSystem: z.string().min(1).optional().describe(
    "system prompt for conversations that have none",
  ).meta({ value: "text" }),
  trainOnPrompt: z.boolean().default(false).describe(
    "train on all tokens, not only the assistant's",
  ),
  packing: z.boolean().default(true).describe(
    "pack several examples into a sequence; they do not attend to each other",
  ),
  tokenizer: z.string().min(1).optional().describe("tokenizer to use instead of the model's")
    .meta({ value: "dir|tokenizer.json|hf:…" }),
  addTokens: strings().optional().describe(
    "special tokens to add to the tokenizer, such as a template's marks; embedding and head get a " +
      "row for each, which starts at the mean of the others, and are trained",
  ).meta({ value: "text" }),
  textField,
  preview: count().optional().describe(
    "print the first n examples with their trained tokens marked, then exit",
  ),
});

const methodFields = section("Optimizer", {
  optimizer: optimizerField(FINETUNE_METHODS),
  lr: z.number().positive().optional().describe("peak learning rate")
    .meta({ derived: ratesText("finetune") }),
  stochasticRound: z.boolean().optional().describe(
    "round updated weights stochastically, so that small updates are not lost",
  ).meta({ derived: "on with INT8 or bfloat16 weights" }),
  ...rankFields,
  trainEmbeddings,
  embeddingQuant,
  embedding4bit,
  offloadEmbedding,
  neftuneNoiseAlpha,
});

const finetuneLora = section("LoRA", {
  loraRank: count().default(USUAL_LORA_RANK).describe("rank of the adapters").meta({ value: "r" }),
});

const finetuneSchedule = section("Schedule", {
  epochs: z.number().positive().optional().describe("passes over the examples").meta({
    derived: `${USUAL_EPOCHS}; over a small set up to ${MOST_EPOCHS}, in smaller batches, for ` +
      `${LEAST_STEPS} steps`,
  }),
  steps: count().optional().meta(described(
    phrase`total optimizer steps, overriding ${option("epochs")}`,
  )).meta({ value: "N" }),
  warmupRatio: share().default(0.03).describe(
    "share of the steps over which the learning rate rises",
  ),
  warmupSteps: z.number().int().min(0).optional().describe("warm-up in steps")
    .meta({ derived: phrase`${option("warmupRatio")} of the steps` }),
});

/** A number of steps, or once per epoch. */
const everyEpochOr = () =>
  z.union([orNever(), z.literal("epoch")], {
    error: "must be a whole number of at least 0, or epoch",
  });

const finetuneRun = section("Run", {
  evalEvery: everyEpochOr().default(0).describe(
    "steps between evaluations; epoch: after each pass over the examples; 0: only before the first " +
      "step and after the last",
  ).meta({ value: "n|epoch" }),
  saveEvery: everyEpochOr().default(500).describe(
    "steps between checkpoints; epoch: after each pass over the examples; 0: only at the end",
  ).meta({ value: "n|epoch" }),
});

const rules: Rule[] = [
  ...effectRules(FINETUNE_EFFECTS),
  overwriteRule,
  warmupRule,
  ...restartRules,
  ({ data, dataset }) =>
    !data && !dataset
      ? {
        option: "data",
        message: phrase`is required, or ${option("dataset")} with a dataset_info.json`,
      }
      : undefined,
];

/** Options of a fine-tuning run; `Trainer.finetune` takes them as given, or as `parse` returns them. */
export const finetuneOptions: Options<FinetuneOptions, FinetuneInput> = defineOptions({
  fields: {
    ...memoryFields,
    ...modelFields,
    ...batchFields,
    ...dataFields,
    ...optimizerFields,
    ...methodFields,
    ...loraFields,
    ...finetuneLora,
    ...loraRateFields,
    ...restartFields,
    ...finetuneSchedule,
    ...scheduleFields,
    ...finetuneSchedule,
    ...runFields,
    ...parallelFields,
    ...finetuneRun,
  },
  rules,
  derive: (options) => {
    const { optimizer, dtype } = options;
    const { weightQuant, projQuant } = quantisation(options);
    const trainEmbeddings = options.trainEmbeddings || options.addTokens !== undefined;
    const embeddingQuant = quantisesEmbeddings({ ...options, trainEmbeddings });
    return {
      trainEmbeddings,
      weightQuant,
      projQuant,
      embeddingQuant,
      // At these learning rates an update is smaller than the spacing of bfloat16 or INT8 values.
      stochasticRound: options.stochasticRound ??
        (weightQuant || (trainEmbeddings && embeddingQuant) || dtype === "bfloat16"),
      momentumReset: options.momentumReset ?? (options.stableSpam ? MOMENTUM_RESET : 0),
      maxGradNorm: options.maxGradNorm ?? FINETUNE_GRAD_NORM,
      lr: options.lr ?? methodOf(optimizer).lr.finetune!,
      apolloScale: options.apolloScale ?? methodOf(optimizer).apollo?.scale ?? 1,
      ...loraSizes(options),
    };
  },
});

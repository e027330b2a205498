/**
 * The options of a run, each declared once. Flags, `--help`, validation and the library's types all
 * derive from these schemas, so that an option is added in one place.
 *
 * @module
 */
import { z } from "zod";
import { option, phrase } from "../options/phrase.ts";
import { defineOptions, described, type Options, type Rule, section } from "../options/schema.ts";
import {
  count,
  loraFields,
  memoryFields,
  optimizerFields,
  orNever,
  PACKINGS,
  rankFields,
  runFields,
  scheduleFields,
  strings,
  textField,
  trainedModel,
  trainEmbeddings,
} from "./fields.ts";
import {
  embeddingQuant,
  optimizerField,
  quantisation,
  quantisesEmbeddings,
  trainsAdapters,
} from "./method_fields.ts";
import { METHOD_NAMES, type MethodName, methodOf } from "./methods.ts";
import { effectRules, MEMORY_EFFECTS, PRETRAIN_EFFECTS } from "./option_effects.ts";
import { knownPreset, overwriteRule, warmupRule } from "./option_rules.ts";
import type { MemoryOptions, PretrainOptions } from "./option_types.ts";

export type { MemoryOptions, PretrainOptions } from "./option_types.ts";

const stepFields = section("Schedule", {
  steps: count().default(10_000).describe("total optimizer steps").meta({ value: "N" }),
});

const dataFields = section("Data", {
  data: strings().describe(
    "training text: text, JSON Lines, CSV, Parquet or Arrow files, also compressed; folders, " +
      "patterns (data/*.jsonl.zst), - for standard input, or hf:…",
  ).meta({ value: "file|dir|hf:…" }),
  evalData: strings().optional().describe("evaluation text; nothing is then held out")
    .meta({ value: "file|dir|hf:…" }),
  evalShare: z.number().min(0).max(0.5).default(0.01).meta(described(
    phrase`share of ${option("data")} held out for evaluation, without ${option("evalData")}`,
  )),
  tokenizer: z.string().min(1).default("bytes").describe(
    "`bytes`, a tokenizer.json, a folder containing one, or hf:…",
  ).meta({ value: "bytes|dir|tokenizer.json|hf:…" }),
  textField,
  packing: z.enum(PACKINGS).default("packed").describe(
    "packed: documents back to back, no padding; padded: one document per sequence",
  ),
  shuffleBuffer: orNever().default(1000).describe(
    "sequences in the shuffle buffer, behind the mix of documents over all files; 0 keeps the " +
      "order of the files",
  ),
});

const trainingRules: Rule[] = [
  overwriteRule,
  knownPreset,
  ...effectRules(PRETRAIN_EFFECTS),
  warmupRule,
];

/** Options of `memory`: what a run would need, without starting it. */
export const memoryOptions: Options<MemoryOptions> = defineOptions({
  fields: {
    ...memoryFields,
    ...section("Model", {
      model: trainedModel.describe("a preset, a config.json, or the folder of a model"),
    }),
    ...section("Optimizer", {
      optimizer: optimizerField(METHOD_NAMES, "training method"),
    }),
    ...section("Fine-tuning", {
      finetune: z.boolean().optional().describe("plan fine-tuning instead of pre-training")
        .meta({ derived: "on with lora and qlora" }),
      trainEmbeddings,
      embeddingQuant,
    }),
    ...loraFields,
  },
  rules: [
    knownPreset,
    ...effectRules(MEMORY_EFFECTS),
    ({ finetune, optimizer }) =>
      finetune === false && trainsAdapters(methodOf(optimizer as MethodName))
        ? { option: "finetune", message: `must be on with ${optimizer}, which only fine-tunes` }
        : undefined,
    ({ rank }) =>
      rank === "auto"
        ? {
          option: "rank",
          message: "auto depends on the training data: give a number to plan with",
        }
        : undefined,
  ],
  derive: (options) => ({
    ...quantisation(options),
    finetune: options.finetune ?? trainsAdapters(methodOf(options.optimizer)),
    embeddingQuant: options.finetune === true && quantisesEmbeddings(options),
    loraAlpha: options.loraAlpha ?? 2 * options.loraRank,
  }),
});

/** Options of a pre-training run; `Trainer.pretrain` takes what `parse` returns. */
export const pretrainOptions: Options<PretrainOptions> = defineOptions({
  fields: {
    ...memoryFields,
    ...rankFields,
    ...dataFields,
    ...optimizerFields,
    ...stepFields,
    ...scheduleFields,
    ...runFields,
  },
  rules: trainingRules,
  derive: (options) => {
    const { weightQuant, projQuant } = quantisation(options);
    return {
      weightQuant,
      projQuant,
      stochasticRound: options.stochasticRound ?? weightQuant,
      lr: options.lr ?? methodOf(options.optimizer).lr.pretrain!,
      warmupSteps: options.warmupSteps ?? Math.round(options.steps / 10),
    };
  },
});

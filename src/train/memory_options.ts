/** What decides the size of a run of any kind, for the commands that plan or time one. */
import { z } from "../packages/zod.ts";
import { option, phrase } from "../options/phrase.ts";
import { defineOptions, described, type Options, type Rule, section } from "../options/schema.ts";
import {
  FINETUNE_GRAD_NORM,
  loraFields,
  loraSizes,
  memoryFields,
  startFields,
  trainedModel,
  trainEmbeddings,
  vocabSize,
} from "./fields.ts";
import {
  embedding4bit,
  embeddingQuant,
  offloadEmbedding,
  optimizerField,
  PRETRAIN_METHODS,
  quantisation,
  quantisesEmbeddings,
} from "./method_fields.ts";
import { METHOD_NAMES, type MethodName } from "./methods.ts";
import { effectRules } from "./effect.ts";
import {
  RANK_RULES,
  ranks,
  SHARDING_EFFECTS,
  shardStates,
  shardWeights,
} from "./parallel_fields.ts";
import { MEMORY_EFFECTS, plansFinetuning } from "./option_effects.ts";
import { knownPreset, modelStart, startRule } from "./option_rules.ts";
import type { MemoryInput, MemoryOptions } from "./option_types.ts";

export type { MemoryInput, MemoryOptions } from "./option_types.ts";

export const sizeFields = {
  ...memoryFields,
  ...section("Model", {
    model: trainedModel.describe("a preset, a config.json, or the folder of a model"),
    vocabSize: vocabSize.meta({ value: "V", derived: "the preset's, 32000 but for llama_nano" }),
  }),
  ...section("Optimizer", {
    optimizer: optimizerField(METHOD_NAMES),
    embeddingQuant,
    embedding4bit,
    offloadEmbedding,
  }),
  ...section("Fine-tuning", {
    finetune: z.boolean().optional().describe("plan fine-tuning instead of pre-training")
      .meta({ derived: "on with lora and qlora" }),
    trainEmbeddings,
  }),
  ...loraFields,
};

export const sizeRules: readonly Rule[] = [
  knownPreset,
  ...effectRules(MEMORY_EFFECTS),
  ({ finetune, optimizer, from }) =>
    finetune === false && from === undefined &&
      !PRETRAIN_METHODS.includes(optimizer as MethodName)
      ? { option: "finetune", message: `must be on with ${optimizer}, which only fine-tunes` }
      : undefined,
  ({ finetune, optimizer, from }) =>
    from !== undefined
      ? modelStart(optimizer, "from", from)
      : finetune === true
      ? modelStart(optimizer, "finetune", true, "finetune")
      : undefined,
  ({ rank }) =>
    rank === "auto"
      ? {
        option: "rank",
        message: "auto depends on the training data: give a number to plan with",
      }
      : undefined,
];

type Sizes = Omit<z.output<z.ZodObject<typeof sizeFields>>, "model">;

/** `from` is the model of pre-training that continues. */
export function deriveSizes(options: Sizes & { readonly from?: string }) {
  const finetune = plansFinetuning(options);
  return {
    ...quantisation(options),
    finetune,
    maxGradNorm: options.maxGradNorm ?? (finetune ? FINETUNE_GRAD_NORM : 0),
    embeddingQuant: quantisesEmbeddings(
      finetune ? options : { ...options, trainEmbeddings: true },
    ),
    ...((finetune || options.from !== undefined) && loraSizes(options)),
  };
}

/** Options of `memory`: what a run would need, without starting it. */
export const memoryOptions: Options<MemoryOptions, MemoryInput> = defineOptions({
  fields: {
    ...sizeFields,
    ...startFields,
    ...section("Model", {
      model: trainedModel.optional().describe("a preset, a config.json, or the folder of a model"),
      vocabSize: sizeFields.vocabSize,
    }),
    ...section("Card", {
      ranks: ranks.meta(described(
        phrase`plan what one of so many processes needs, each with ${option("batchSize")} sequences
          of its own; the plan is that of the process that needs the most`,
      )).meta({ value: "n" }),
      shardStates,
      shardWeights,
      fit: z.number().positive().optional().meta(described(
        phrase`show what fits a card of that many GiB: the largest batches by method, rank and
          ${option("seqLen")}, and what they need to save memory; options that are given are kept,
          ${option("batchSize")} as the least`,
      )).meta({ value: "GiB" }),
      table: z.boolean().default(false).meta(described(
        phrase`show every method beside what papers report, for ${
          option("model")
        } or, if that is left out, at the sizes of the GaLore paper, at its ranks and 1 x 256 tokens
          unless others are given`,
      )),
      plot: z.string().min(1).optional().meta(described(
        phrase`draw ${option("table", true)} in this folder, a chart a model as SVG and PNG`,
      )).meta({ value: "dir" }),
      allocate: z.boolean().default(false).describe(
        "allocate everything on this machine's GPU and run steps through one layer",
      ),
    }),
  },
  rules: [
    (options, given) =>
      options.table === true && given.model === undefined && given.from === undefined
        ? undefined
        : startRule(options, given),
    ({ finetune, from }) =>
      finetune === true && from !== undefined
        ? {
          option: "finetune",
          message: phrase`plans fine-tuning of ${option("model")}, ${option("from")} pre-training:
            keep only one`,
        }
        : undefined,
    ({ allocate, fit }) =>
      allocate === true && fit !== undefined
        ? {
          option: "allocate",
          message: phrase`tries one plan, ${option("fit")} searches for many: keep only one`,
        }
        : undefined,
    ...RANK_RULES,
    ...effectRules(SHARDING_EFFECTS),
    ({ allocate, ranks }) =>
      allocate === true && ranks !== 1
        ? {
          option: "allocate",
          message: phrase`tries a run of one process: leave ${option("ranks")} out`,
        }
        : undefined,
    ({ allocate, fit, table }) =>
      table === true && (allocate === true || fit !== undefined)
        ? {
          option: "table",
          message: phrase`shows one plan of each method: leave ${
            fit === undefined ? option("allocate", true) : option("fit")
          } out`,
        }
        : undefined,
    ({ plot, table }) =>
      plot !== undefined && table !== true
        ? { option: "plot", message: phrase`needs ${option("table", true)}` }
        : undefined,
    ...sizeRules,
  ],
  derive: (options) => deriveSizes(options),
});

/**
 * The options of a run, each declared once. Flags, `--help`, validation and the library's types all
 * derive from these schemas, so that an option is added in one place.
 *
 * @module
 */
import { z } from "../packages/zod.ts";
import { option, phrase } from "../options/phrase.ts";
import { defineOptions, described, type Options, type Rule, section } from "../options/schema.ts";
import {
  count,
  inMemoryToo,
  loraFields,
  loraRateFields,
  loraSizes,
  memoryFields,
  MOMENTUM_RESET,
  optimizerFields,
  orNever,
  PACKINGS,
  rankFields,
  restartFields,
  ropeScaling,
  runFields,
  scheduleFields,
  startFields,
  strings,
  textField,
  trainEmbeddings,
} from "./fields.ts";
import {
  embedding4bit,
  embeddingQuant,
  offloadEmbedding,
  optimizerField,
  quantisation,
  quantisesEmbeddings,
  ratesText,
} from "./method_fields.ts";
import { METHOD_NAMES, methodOf } from "./methods.ts";
import { effectRules } from "./effect.ts";
import { PRETRAIN_EFFECTS } from "./option_effects.ts";
import { parallelFields } from "./parallel_fields.ts";
import {
  knownPreset,
  methodStartRule,
  overwriteRule,
  restartRules,
  startRule,
  warmupRule,
} from "./option_rules.ts";
import type { PretrainInput, PretrainOptions } from "./option_types.ts";

export type { PretrainInput, PretrainOptions } from "./option_types.ts";

const stepFields = section("Schedule", {
  steps: count().default(10_000).describe("total optimizer steps").meta({ value: "N" }),
});

const dataFields = section("Data", {
  data: inMemoryToo(
    strings().describe(
      "training text: text, JSON Lines, CSV, Parquet or Arrow files, also compressed; folders, " +
        "patterns (data/*.jsonl.zst), - for standard input, or hf:…",
    ).meta({ value: "file|dir|hf:…" }),
  ),
  evalData: inMemoryToo(
    strings().optional().describe("evaluation text; nothing is then held out")
      .meta({ value: "file|dir|hf:…" }),
  ),
  evalShare: z.number().min(0).max(0.5).default(0.01).meta(described(
    phrase`share of ${option("data")} held out for evaluation, without ${option("evalData")}`,
  )),
  tokenizer: z.string().min(1).optional().describe(
    "`bytes`, a tokenizer.json, a folder containing one, or hf:…",
  ).meta({
    value: "bytes|dir|tokenizer.json|hf:…",
    derived: phrase`bytes; with ${option("from")}, the model's own`,
    proposals: ["bytes"],
  }),
  textField,
  packing: z.enum(PACKINGS).default("packed").describe(
    "packed: documents back to back, no padding; padded: one document per sequence",
  ),
  shuffleBuffer: orNever().default(1000).describe(
    "sequences in the shuffle buffer, behind the mix of documents over all files; 0 keeps the " +
      "order of the files",
  ),
});

const continuedFields = {
  ...section("Optimizer", {
    optimizer: optimizerField(METHOD_NAMES),
    lr: z.number().positive().optional().describe("peak learning rate").meta({
      derived: phrase`${ratesText("pretrain")}; with ${option("from")}, ${ratesText("continue")}`,
    }),
    stochasticRound: z.boolean().optional().describe(
      "round updated weights stochastically, so that small updates are not lost",
    ).meta({
      derived: phrase`on with INT8 weights and, with ${option("from")}, bfloat16 ones`,
    }),
    trainEmbeddings,
    embeddingQuant,
    embedding4bit,
    offloadEmbedding,
  }),
  ...loraFields,
  ...loraRateFields,
  ...restartFields,
};

const trainingRules: Rule[] = [
  overwriteRule,
  startRule,
  methodStartRule,
  knownPreset,
  ...effectRules(PRETRAIN_EFFECTS),
  warmupRule,
  ...restartRules,
];

/** Options of a pre-training run; `Trainer.pretrain` takes them as given, or as `parse` returns them. */
export const pretrainOptions: Options<PretrainOptions, PretrainInput> = defineOptions({
  fields: {
    ...memoryFields,
    ...startFields,
    ...section("Model", { ropeScaling: ropeScaling.optional() }),
    ...rankFields,
    ...dataFields,
    ...optimizerFields,
    ...continuedFields,
    ...stepFields,
    ...scheduleFields,
    ...runFields,
    ...parallelFields,
  },
  rules: trainingRules,
  derive: (options) => {
    const { weightQuant, projQuant } = quantisation(options);
    const { from, optimizer, dtype } = options, rates = methodOf(optimizer).lr;
    const embeddingQuant = quantisesEmbeddings({ ...options, trainEmbeddings: true });
    return {
      weightQuant,
      projQuant,
      embeddingQuant,
      // Small updates of trained weights are below the spacing of bfloat16, too.
      stochasticRound: options.stochasticRound ??
        (weightQuant || embeddingQuant || (from !== undefined && dtype === "bfloat16")),
      momentumReset: options.momentumReset ?? (options.stableSpam ? MOMENTUM_RESET : 0),
      maxGradNorm: options.maxGradNorm ?? 0,
      lr: options.lr ?? (from === undefined ? rates.pretrain! : rates.continue!),
      apolloScale: options.apolloScale ?? methodOf(optimizer).apollo?.scale ?? 1,
      ...(from !== undefined && loraSizes(options)),
      warmupSteps: options.warmupSteps ??
        Math.min(Math.round(options.steps / 10), options.jaggedRestartSteps ?? Infinity),
    };
  },
});

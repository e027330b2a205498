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
  memoryFields,
  optimizerFields,
  orNever,
  PACKINGS,
  rankFields,
  runFields,
  scheduleFields,
  strings,
  textField,
} from "./fields.ts";
import { quantisation } from "./method_fields.ts";
import { methodOf } from "./methods.ts";
import { effectRules, PRETRAIN_EFFECTS } from "./option_effects.ts";
import { knownPreset, overwriteRule, warmupRule } from "./option_rules.ts";
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
  tokenizer: z.string().min(1).default("bytes").describe(
    "`bytes`, a tokenizer.json, a folder containing one, or hf:…",
  ).meta({ value: "bytes|dir|tokenizer.json|hf:…", proposals: ["bytes"] }),
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

/** Options of a pre-training run; `Trainer.pretrain` takes what `parse` returns. */
export const pretrainOptions: Options<PretrainOptions, PretrainInput> = defineOptions({
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

/**
 * Where an option has an effect. An option that a run would ignore is refused, whatever its value:
 * it was meant to change something. Each row names the options, and what they need; the rules of
 * every kind of run, and the options that a stored job keeps, are read from these rows.
 *
 * @module
 */
import { option, phrase } from "../options/phrase.ts";
import { adapterEffects, GIVEN_ADAPTER_EFFECTS, LORA_PLUS_EFFECTS } from "./adapter_effects.ts";
import { type Effect, isSet, method, only, type Values } from "./effect.ts";
import {
  adaptsModel,
  asksForEmbeddings,
  embeddingsFrozen,
  embeddingsTrained,
  fullRankSummed,
  updatedLayerwise,
} from "./embedding_effects.ts";
import { METHOD_EFFECTS, ROPE_EFFECTS, roundingEffect, UPDATE_EFFECTS } from "./method_effects.ts";
import { restarts, trainsAdapters } from "./method_fields.ts";
import { PARALLEL_EFFECTS } from "./parallel_fields.ts";
import { presetOf } from "./presets.ts";

/** Of a preset, which is a recipe: other models have a vocabulary of their own. */
const PRESET_EFFECTS: readonly Effect[] = [
  only(
    ["vocabSize"],
    ({ model, from }) => from === undefined && presetOf(model) !== undefined,
    "applies to a preset: another model has the vocab_size of its config.json",
  ),
];

/** What trains embedding and head in pre-training, if anything does. */
const pretrainsEmbeddings = (options: Values) =>
  adaptsModel(options) ? asksForEmbeddings(options) : "pre-training";

export const PRETRAIN_EFFECTS: readonly Effect[] = [
  ...PRESET_EFFECTS,
  ...METHOD_EFFECTS,
  fullRankSummed(pretrainsEmbeddings),
  ...UPDATE_EFFECTS,
  updatedLayerwise(pretrainsEmbeddings),
  roundingEffect(pretrainsEmbeddings),
  ...adapterEffects(({ from }) => from === undefined),
  ...LORA_PLUS_EFFECTS,
  ...PARALLEL_EFFECTS,
  only(
    ["ropeScaling"],
    isSet("from"),
    phrase`needs ${option("from")}: a model that is trained from random weights has the positions of
      its configuration`,
  ),
  ...ROPE_EFFECTS,
  only(
    ["trainEmbeddings"],
    adaptsModel,
    "applies to adapters beside a model's weights: other runs train embedding and head anyway",
  ),
  embeddingsTrained((options) => !adaptsModel(options)),
  embeddingsFrozen(pretrainsEmbeddings),
  only(
    ["evalShare"],
    ({ evalShare }, { evalData }) => evalShare === 0 || evalData === undefined,
    phrase`holds nothing out beside ${option("evalData")}`,
  ),
];

export const FINETUNE_EFFECTS: readonly Effect[] = [
  ...METHOD_EFFECTS,
  fullRankSummed(asksForEmbeddings),
  ...UPDATE_EFFECTS,
  ...adapterEffects(() => false),
  ...LORA_PLUS_EFFECTS,
  ...PARALLEL_EFFECTS,
  ...GIVEN_ADAPTER_EFFECTS,
  embeddingsTrained(({ addTokens }) => addTokens !== undefined),
  embeddingsFrozen(asksForEmbeddings),
  ...ROPE_EFFECTS,
  updatedLayerwise(asksForEmbeddings),
  roundingEffect(asksForEmbeddings),
  only(
    ["epochs"],
    (_, { steps }) => steps === undefined,
    phrase`has no effect beside ${option("steps")}`,
  ),
  only(
    ["warmupRatio"],
    (_, { warmupSteps }) => warmupSteps === undefined,
    phrase`has no effect beside ${option("warmupSteps")}`,
  ),
  only(
    ["evalShare"],
    ({ evalShare }, { evalData, evalDataset }) =>
      evalShare === 0 || (evalData === undefined && evalDataset === undefined),
    phrase`holds nothing out beside ${option("evalData")} or ${option("evalDataset")}`,
  ),
  only(
    ["datasetDir"],
    (_, { dataset, evalDataset }) => dataset !== undefined || evalDataset !== undefined,
    phrase`needs ${option("dataset")}`,
  ),
  only(
    ["dataFormat"],
    (_, { data, evalData }) => data !== undefined || evalData !== undefined,
    phrase`applies to the files of ${option("data")}; the format of a named dataset is in its
      dataset_info.json`,
  ),
];

/** Whether a plan is of fine-tuning: as asked for, or by default where the result is an adapter. */
export function plansFinetuning(
  { finetune, from, optimizer }: {
    readonly finetune?: unknown;
    readonly from?: unknown;
    readonly optimizer?: unknown;
  },
): boolean {
  if (finetune !== undefined) return finetune === true;
  const row = method({ optimizer });
  return from === undefined && trainsAdapters(row) && !restarts(row);
}

/** What trains embedding and head in a run that is planned, if anything does. */
const plansEmbeddings = (options: Values) =>
  plansFinetuning(options) ? asksForEmbeddings(options) : pretrainsEmbeddings(options);

export const MEMORY_EFFECTS: readonly Effect[] = [
  ...PRESET_EFFECTS,
  ...METHOD_EFFECTS,
  ...adapterEffects((options) => !plansFinetuning(options) && options.from === undefined),
  only(
    ["trainEmbeddings"],
    (options) => plansFinetuning(options) || adaptsModel(options),
    phrase`needs ${option("finetune", true)}: pre-training trains embedding and head anyway`,
  ),
  fullRankSummed(plansEmbeddings),
  updatedLayerwise(plansEmbeddings),
  embeddingsTrained((options) => !plansFinetuning(options) && !adaptsModel(options)),
  embeddingsFrozen(plansEmbeddings),
];

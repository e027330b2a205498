/** Of adapters. */
import { option, phrase } from "../options/phrase.ts";
import { type Effect, method, only, onlyWith, type Values } from "./effect.ts";
import { asksForEmbeddings } from "./embedding_effects.ts";
import { restarts, trainsAdapters } from "./method_fields.ts";

/** Of adapters, which are merged into random weights. */
export const adapterEffects = (isRandom: (options: Values) => boolean): readonly Effect[] => [
  onlyWith(
    ["loraRank", "loraAlpha", "useRslora", "useDora", "loraDropout", "loraTarget"],
    trainsAdapters,
  ),
  only(
    ["useDora"],
    (options) => !isRandom(options) && !restarts(method(options)),
    "keeps lengths of rows beside a model's weights, and here adapters are merged into weights",
  ),
  onlyWith(["jaggedRestartSteps", "jaggedRestartWarmupSteps"], restarts),
  only(
    ["loraTarget"],
    (options) => !restarts(method(options)) || !targetsVocabulary(options.loraTarget),
    ({ optimizer }) => `has embed_tokens or lm_head, into which ${optimizer} merges nothing`,
  ),
  only(
    ["useDora"],
    ({ useDora, loraTarget }) => useDora !== true || !targetsVocabulary(loraTarget),
    phrase`is of projections: leave embed_tokens and lm_head out of ${
      option("loraTarget")
    }, or train
      them whole (${option("trainEmbeddings", true)})`,
  ),
  onlyWith(["loraplusLrRatio", "loraplusLrEmbedding"], trainsAdapters),
  only(
    ["loraTarget"],
    (options) =>
      !isRandom(options) && asksForEmbeddings(options) === undefined ||
      !targetsVocabulary(options.loraTarget),
    "has embed_tokens or lm_head, which are trained whole",
  ),
];

export const LORA_PLUS_EFFECTS: readonly Effect[] = [
  only(
    ["loraplusLrEmbedding"],
    ({ loraplusLrRatio }) => loraplusLrRatio !== 1,
    phrase`needs another ${option("loraplusLrRatio")} than 1`,
  ),
  only(
    ["loraplusLrEmbedding"],
    ({ loraTarget, adapter }) =>
      adapter !== undefined || Array.isArray(loraTarget) && loraTarget.includes("embed_tokens"),
    phrase`needs embed_tokens in ${option("loraTarget")}`,
  ),
];

/** Of an adapter that is trained further. */
export const GIVEN_ADAPTER_EFFECTS: readonly Effect[] = [
  onlyWith(
    ["adapter"],
    (method) => trainsAdapters(method) && !restarts(method),
    "is trained further by",
  ),
  only(
    ["loraRank", "loraAlpha", "useRslora", "useDora", "loraTarget"],
    ({ adapter }) => adapter === undefined,
    phrase`is that of ${option("adapter")}`,
  ),
];

function targetsVocabulary(loraTarget: unknown): boolean {
  return Array.isArray(loraTarget) &&
    loraTarget.some((name) => name === "embed_tokens" || name === "lm_head");
}

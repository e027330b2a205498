/**
 * Where an option has an effect. An option that a run would ignore is refused, whatever its value:
 * it was meant to change something. Each row names the options, and what they need; the rules of
 * every kind of run, and the options that a stored job keeps, are read from these rows.
 *
 * @module
 */
import { option, type Phrase, phrase, type Piece } from "../options/phrase.ts";
import type { Rule } from "../options/schema.ts";
import {
  chosenEmbeddingRule,
  hasInt4Projection,
  hasMatrices,
  isApollo,
  isLowRank,
  quantisation,
  restarts,
  takesInt8,
  trainsAdapters,
  trainsByAdam,
  trainsWeights,
  writesWeights,
} from "./method_fields.ts";
import {
  DEFAULT_METHOD,
  hasRank,
  hasSpace,
  type Method,
  type MethodName,
  methodNamed,
  methodOf,
  methodsWith,
} from "./methods.ts";
import { presetOf } from "./presets.ts";

type Values = Readonly<Record<string, unknown>>;

/** Options that have an effect beside some options and none beside others. */
export interface Effect {
  /** The options, by name. */
  readonly options: readonly string[];
  /** Whether they have one; `options` are valid, with defaults, `given` is what the user set. */
  used(options: Values, given: Values): boolean;
  /** What they need, for a message that follows the option's name. */
  needs(options: Values): Phrase;
}

/** Options that are used only by some methods. */
function onlyWith(
  options: readonly string[],
  holds: (method: Method) => unknown,
  why = "needs",
): Effect {
  const names = methodsWith(holds);
  return {
    options,
    used: ({ optimizer }) => optimizer === undefined || names.includes(optimizer as MethodName),
    needs: ({ optimizer }) => `${why} the optimizer ${names.join(" or ")}, got ${optimizer}`,
  };
}

/** Options that another one makes meaningless, or is needed by. */
function only(
  options: readonly string[],
  used: Effect["used"],
  needs: Phrase | Effect["needs"],
): Effect {
  return { options, used, needs: typeof needs === "function" ? needs : () => needs };
}

/** An effect that is the rule in some runs only. */
function where(applies: (given: Values) => boolean, effect: Effect): Effect {
  return { ...effect, used: (options, given) => !applies(given) || effect.used(options, given) };
}

/** Of the update of embedding and head: in some runs they are trained whatever the option says. */
function embeddingsTrained(anyway: (options: Values) => boolean): Effect {
  return only(
    ["embeddingOptimizer", "embeddingAdam8bit"],
    (options) => options.trainEmbeddings === true || anyway(options),
    phrase`needs ${option("trainEmbeddings", true)}`,
  );
}

/** Of a frozen embedding and head: of what they are trained by, if they are. */
function embeddingsFrozen(trainedBy: (options: Values) => Piece | undefined): Effect {
  return only(
    ["embedding4bit", "offloadEmbedding"],
    (options) => trainedBy(options) === undefined,
    (options) =>
      phrase`needs a frozen embedding and head, which ${trainedBy(options)!} trains${
        smallerUpdate(options)
      }`,
  );
}

/**
 * Of sums of full-rank gradients: with adapters, and with GaLore but for Fira, only embedding and head
 * have some.
 */
function fullRankSummed(trainedBy: (options: Values) => unknown): Effect {
  return only(
    ["accumulatorQuant"],
    (options) => formsWhole(options) || trainedBy(options) !== undefined,
    ({ optimizer }) =>
      phrase`sums gradients of full rank, of which ${`${optimizer}`} has none without ${
        option("trainEmbeddings", true)
      }`,
  );
}

/** Whether gradients of attention and feed-forward matrices are of full rank. */
function formsWhole(options: Values): boolean {
  const row = method(options);
  return trainsWeights(row) && (!isLowRank(row) || options.fira === true);
}

/** What takes less memory in training embedding and head, unless that is how they are trained. */
function smallerUpdate(options: Values): Phrase {
  const chosen = chosenEmbeddingRule(options as Parameters<typeof chosenEmbeddingRule>[0]);
  if ((chosen ?? method(options).rules.embeddings) === "adam_factored") return "";
  const smallest = option("embeddingOptimizer", "adam_factored");
  return phrase`: training them takes least memory with ${smallest}`;
}

/** What trains embedding and head beside adapters and in fine-tuning, if anything does. */
function asksForEmbeddings({ trainEmbeddings, addTokens }: Values): Piece | undefined {
  if (addTokens !== undefined) return option("addTokens");
  return trainEmbeddings === true ? option("trainEmbeddings", true) : undefined;
}

/** Whether pre-training has adapters beside the weights of a model, which stay as they are. */
const adaptsModel = (options: Values) =>
  trainsAdapters(method(options)) && options.from !== undefined;

const quantised = (options: Values) => quantisation(options as Parameters<typeof quantisation>[0]);
const method = ({ optimizer }: Values) => methodOf(optimizer as MethodName);

/** Of a preset, which is a recipe: other models have a vocabulary of their own. */
const PRESET_EFFECTS: readonly Effect[] = [
  only(
    ["vocabSize"],
    ({ model, from }) => from === undefined && presetOf(model) !== undefined,
    "applies to a preset: another model has the vocab_size of its config.json",
  ),
];

/** Of the method, in every training run and its plan. */
const METHOD_EFFECTS: readonly Effect[] = [
  onlyWith(["weightQuant"], hasMatrices, "INT8 weights need"),
  only(
    ["accumulatorQuant"],
    ({ gradientAccumulation }) => Number(gradientAccumulation) > 1,
    phrase`needs ${option("gradientAccumulation")} above 1: a single batch has nothing to sum`,
  ),
  only(
    ["accumulatorQuant"],
    ({ layerwise }) => layerwise !== false,
    phrase`${option("layerwise", false)} keeps gradients in float32: give one of them`,
  ),
  onlyWith(["layerwise"], trainsWeights, "updates in the backward pass are of"),
  onlyWith(["projQuant"], hasInt4Projection, "an INT4 projection needs"),
  onlyWith(["rank"], hasRank),
  onlyWith(["fira"], isLowRank),
  onlyWith(["stableSpam"], trainsByAdam),
  only(
    ["rank"],
    (options) => options.rank !== "auto" || isLowRank(method(options)),
    ({ optimizer }) =>
      `auto keeps a share of what GaLore projects to: give a number with ${optimizer}`,
  ),
  onlyWith(["weightGroupSize"], takesInt8, "groups of INT8 weights need"),
  only(
    ["weightGroupSize"],
    (options) => quantised(options).weightQuant || options.embeddingQuant === true,
    phrase`applies to INT8 weights: ${option("weightQuant", true)}`,
  ),
  onlyWith(["projGroupSize"], hasInt4Projection, "groups of an INT4 projection need"),
  only(
    ["projGroupSize"],
    (options) => quantised(options).projQuant,
    phrase`applies to an INT4 projection, which ${option("projQuant", false)} switches off`,
  ),
  only(
    ["embeddingAdam8bit"],
    (_, { embeddingOptimizer }) => embeddingOptimizer === undefined,
    phrase`is the former name of ${option("embeddingOptimizer")}: keep only that`,
  ),
  only(
    ["activationQuant"],
    ({ activationCheckpointing }) => activationCheckpointing === true,
    phrase`needs ${option("activationCheckpointing", true)}: it quantises what that keeps`,
  ),
  onlyWith(["adam4bit"], ({ rules }) => rules.matrices === "adam8bit", "4-bit moments need"),
  onlyWith(["embeddingQuant"], takesInt8, "INT8 embeddings need"),
  only(
    ["embedding4bit"],
    (_, { embeddingQuant }) => embeddingQuant !== true,
    phrase`stores embedding and head in 4 bits, ${
      option("embeddingQuant", true)
    } in 8: keep only one`,
  ),
];

/** Of the update, in every training run. */
const UPDATE_EFFECTS: readonly Effect[] = [
  onlyWith(["updateProjGap"], hasSpace),
  onlyWith(["apolloScale"], isApollo),
  onlyWith(["galoreScale", "cosThreshold", "gammaProj", "queueSize", "energyShare"], isLowRank),
  onlyWith(["momentumReset"], trainsByAdam),
  only(["energyShare"], ({ rank }) => rank === "auto", phrase`needs ${option("rank", "auto")}`),
  only(
    ["minLrRatio"],
    ({ scheduler }) => scheduler !== "constant",
    phrase`has no effect with ${option("scheduler", "constant")}: the rate does not decay`,
  ),
  only(["sampleTokens"], isSet("samplePrompt"), phrase`needs ${option("samplePrompt")}`),
  only(
    ["loadBestModelAtEnd", "earlyStoppingPatience"],
    holdsOut,
    phrase`needs held-out data: ${option("evalShare")} or ${option("evalData")}`,
  ),
  only(
    ["loadBestModelAtEnd", "earlyStoppingPatience"],
    ({ evalEvery }) => evalEvery !== 0,
    phrase`needs evaluations during the run: ${option("evalEvery")}`,
  ),
  only(
    ["earlyStoppingThreshold"],
    isSet("earlyStoppingPatience"),
    phrase`needs ${option("earlyStoppingPatience")}`,
  ),
];

const ROUNDING_EFFECTS: readonly Effect[] = [
  onlyWith(["stochasticRound"], writesWeights, "stochastic rounding needs"),
  only(
    ["stochasticRound"],
    (options) => quantised(options).weightQuant || options.embeddingQuant === true,
    phrase`applies to INT8 weights: ${option("weightQuant", true)}`,
  ),
];

/** Of a run that starts from trained weights; only fine-tuning may freeze embedding and head. */
function trainsInt8Embeddings({ embeddingQuant, from, trainEmbeddings, addTokens }: Values) {
  return embeddingQuant === true &&
    (from !== undefined || trainEmbeddings === true || addTokens !== undefined);
}

/** Of the rounding of weights that are trained already: also bfloat16's. */
const TRAINED_ROUNDING_EFFECTS: readonly Effect[] = [
  only(
    ["stochasticRound"],
    (options) => writesWeights(method(options)),
    ({ optimizer }) =>
      `applies to INT8 and bfloat16 weights; the adapters of ${optimizer} are float32`,
  ),
  only(
    ["stochasticRound"],
    (options) =>
      quantised(options).weightQuant || trainsInt8Embeddings(options) ||
      options.dtype !== "float32",
    phrase`applies to INT8 and bfloat16 weights, not with ${option("dtype", "float32")}`,
  ),
];

const ROPE_EFFECTS: readonly Effect[] = [
  only(
    ["ropeScaling"],
    (options) => writesWeights(method(options)),
    ({ optimizer }) =>
      `cannot be saved with the adapters of ${optimizer}: write rope_parameters into the ` +
      "config.json of their base model",
  ),
];

/** Of adapters, which are merged into random weights. */
const adapterEffects = (isRandom: (options: Values) => boolean): readonly Effect[] => [
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

const LORA_PLUS_EFFECTS: readonly Effect[] = [
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
const GIVEN_ADAPTER_EFFECTS: readonly Effect[] = [
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

/** What trains embedding and head in pre-training, if anything does. */
const pretrainsEmbeddings = (options: Values) =>
  adaptsModel(options) ? asksForEmbeddings(options) : "pre-training";

export const PRETRAIN_EFFECTS: readonly Effect[] = [
  ...PRESET_EFFECTS,
  ...METHOD_EFFECTS,
  fullRankSummed(pretrainsEmbeddings),
  ...UPDATE_EFFECTS,
  ...ROUNDING_EFFECTS.map((effect) => where(({ from }) => from === undefined, effect)),
  ...TRAINED_ROUNDING_EFFECTS.map((effect) => where(({ from }) => from !== undefined, effect)),
  ...adapterEffects(({ from }) => from === undefined),
  ...LORA_PLUS_EFFECTS,
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
  ...GIVEN_ADAPTER_EFFECTS,
  embeddingsTrained(({ addTokens }) => addTokens !== undefined),
  embeddingsFrozen(asksForEmbeddings),
  ...ROPE_EFFECTS,
  ...TRAINED_ROUNDING_EFFECTS,
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
  embeddingsTrained((options) => !plansFinetuning(options) && !adaptsModel(options)),
  embeddingsFrozen(plansEmbeddings),
];

/**
 * Refuses options that have no effect, each with the first reason. Switching off what is off already
 * is no fault.
 */
export function effectRules(effects: readonly Effect[]): Rule[] {
  const names = new Set(effects.flatMap(({ options }) => options));
  return [...names].map((name): Rule => {
    const own = effects.filter(({ options }) => options.includes(name));
    return (options, given) => {
      // An invalid value, or method, has a fault of its own.
      const checked = given[name] !== undefined && given[name] !== false &&
        options[name] !== undefined && options.optimizer !== undefined;
      const without = checked ? own.find(({ used }) => !used(options, given)) : undefined;
      return without && { option: name, message: without.needs(options) };
    };
  });
}

/** The options of a stored run that have an effect; an older version may have kept others. */
export function effective(effects: readonly Effect[], given: Values): Record<string, unknown> {
  const options = { ...given, optimizer: methodNamed(given.optimizer) ?? DEFAULT_METHOD };
  const idle = new Set(
    effects.filter((effect) => !effect.used(options, given)).flatMap(({ options }) => options),
  );
  return Object.fromEntries(Object.entries(given).filter(([name]) => !idle.has(name)));
}

function holdsOut({ evalShare }: Values, { evalData, evalDataset }: Values): boolean {
  return evalShare !== 0 || evalData !== undefined || evalDataset !== undefined;
}

function targetsVocabulary(loraTarget: unknown): boolean {
  return Array.isArray(loraTarget) &&
    loraTarget.some((name) => name === "embed_tokens" || name === "lm_head");
}

function isSet(name: string) {
  return (_: Values, given: Values) => given[name] !== undefined;
}

/** Of the method and its update. */
import { option, phrase } from "../options/phrase.ts";
import { type Effect, isSet, method, only, onlyWith, quantised, type Values } from "./effect.ts";
import {
  hasInt4Projection,
  hasMatrices,
  isApollo,
  isLowRank,
  takesInt8,
  trainsByAdam,
  trainsFactors,
  writesWeights,
} from "./method_fields.ts";
import { hasRank, hasSpace } from "./methods.ts";

/** Of the method, in every training run and its plan. */
export const METHOD_EFFECTS: readonly Effect[] = [
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
export const UPDATE_EFFECTS: readonly Effect[] = [
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

/**
 * Of stochastic rounding, by what a run writes: all that is not float32 is rounded so. `trainedBy` says
 * what trains embedding and head, if anything does.
 */
export function roundingEffect(trainedBy: (options: Values) => unknown): Effect {
  return only(
    ["stochasticRound"],
    (options) => {
      const row = method(options), embeddings = trainedBy(options) !== undefined;
      const matrices = writesWeights(row);
      if (!matrices && !embeddings && !trainsFactors(row)) return false;
      return options.dtype !== "float32" || matrices && quantised(options).weightQuant ||
        embeddings && options.embeddingQuant === true;
    },
    (options) =>
      options.dtype === "float32"
        ? phrase`applies to INT8 and bfloat16 weights, not with ${option("dtype", "float32")}`
        : `applies to INT8 and bfloat16 weights; the adapters of ${options.optimizer} are float32`,
  );
}

export const ROPE_EFFECTS: readonly Effect[] = [
  only(
    ["ropeScaling"],
    (options) => writesWeights(method(options)),
    ({ optimizer }) =>
      `cannot be saved with the adapters of ${optimizer}: write rope_parameters into the ` +
      "config.json of their base model",
  ),
];

function holdsOut({ evalShare }: Values, { evalData, evalDataset }: Values): boolean {
  return evalShare !== 0 || evalData !== undefined || evalDataset !== undefined;
}

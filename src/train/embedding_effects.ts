/** Of options of embedding and head: which runs train them, and by what. */
import { option, type Phrase, phrase, type Piece } from "../options/phrase.ts";
import { type Effect, method, only, type Values } from "./effect.ts";
import { chosenEmbeddingRule, isLowRank, trainsAdapters, trainsWeights } from "./method_fields.ts";

/** Of the update of embedding and head: in some runs they are trained whatever the option says. */
export function embeddingsTrained(anyway: (options: Values) => boolean): Effect {
  return only(
    ["embeddingOptimizer", "embeddingAdam8bit"],
    (options) => options.trainEmbeddings === true || anyway(options),
    phrase`needs ${option("trainEmbeddings", true)}`,
  );
}

/** Of a frozen embedding and head: of what they are trained by, if they are. */
export function embeddingsFrozen(trainedBy: (options: Values) => Piece | undefined): Effect {
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
export function fullRankSummed(trainedBy: (options: Values) => unknown): Effect {
  return only(
    ["accumulatorQuant"],
    (options) => formsWhole(options) || trainedBy(options) !== undefined,
    ({ optimizer }) =>
      phrase`sums gradients of full rank, of which ${`${optimizer}`} has none without ${
        option("trainEmbeddings", true)
      }`,
  );
}

/** Of when updates come: gradients of adapters alone are kept wherever they are clipped. */
export function updatedLayerwise(trainedBy: (options: Values) => unknown): Effect {
  return {
    ...only(
      ["layerwise"],
      (options) => !trainsAdapters(method(options)) || trainedBy(options) !== undefined,
      phrase`applies to more than adapters, whose gradients are small and kept where they are
        clipped: ${option("trainEmbeddings", true)}`,
    ),
    isOnByDefault: true,
  };
}

/** Whether gradients of attention and feed-forward matrices are of full rank. */
export function formsWhole(options: Values): boolean {
  const row = method(options);
  return trainsWeights(row) && (!isLowRank(row) || options.fira === true);
}

/** What takes less memory in training embedding and head, unless that is how they are trained. */
export function smallerUpdate(options: Values): Phrase {
  const chosen = chosenEmbeddingRule(options as Parameters<typeof chosenEmbeddingRule>[0]);
  if ((chosen ?? method(options).rules.embeddings) === "adam_factored") return "";
  const smallest = option("embeddingOptimizer", "adam_factored");
  return phrase`: training them takes least memory with ${smallest}`;
}

/** What trains embedding and head beside adapters and in fine-tuning, if anything does. */
export function asksForEmbeddings({ trainEmbeddings, addTokens }: Values): Piece | undefined {
  if (addTokens !== undefined) return option("addTokens");
  return trainEmbeddings === true ? option("trainEmbeddings", true) : undefined;
}

/** Whether pre-training has adapters beside the weights of a model, which stay as they are. */
export const adaptsModel = (options: Values) =>
  trainsAdapters(method(options)) && options.from !== undefined;

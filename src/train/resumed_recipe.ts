/** What a resumed run takes from its checkpoint where its options leave it open. */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { withDefaults } from "../options/schema.ts";
import { trainsEmbeddings } from "./build.ts";
import { withRanks } from "./choose_ranks.ts";
import { chosenEmbeddingRule, embeddingOptimizerOf } from "./method_fields.ts";
import type { Recipe } from "./recipe.ts";
import type { RunState } from "./run_state.ts";

/** The recipe with the ranks and the update rule that the run began with, unless others are given. */
export function resumedRecipe(
  given: Recipe,
  { shape: { optimizer: saved } }: Pick<RunState, "shape">,
): { readonly recipe: Recipe; readonly notes: readonly Phrase[] } {
  const recipe = given.options.rank === "auto"
    ? withRanks(given, saved.projection?.ranks ?? {})
    : given;
  const { shape } = recipe, { optimizer } = shape, { rules } = optimizer;
  const { embeddings } = saved.rules;
  if (chosenEmbeddingRule(recipe.options) || embeddings === rules.embeddings) {
    return { recipe, notes: [] };
  }
  const resumed = {
    ...recipe,
    shape: { ...shape, optimizer: { ...optimizer, rules: { ...rules, embeddings } } },
  };
  const [was, usual] = [embeddings, rules.embeddings].map(embeddingOptimizerOf);
  if (!trainsEmbeddings(shape) || !was) return { recipe: resumed, notes: [] };
  return {
    recipe: { ...resumed, options: withDefaults(recipe.options, { embeddingOptimizer: was }) },
    notes: [
      phrase`embedding and head keep the moments of the checkpoint: ${
        option("embeddingOptimizer", was)
      }, where a new run has ${usual ?? rules.embeddings}`,
    ],
  };
}

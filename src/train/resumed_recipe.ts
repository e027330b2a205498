/** What a resumed run takes from its checkpoint where its options leave it open. */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { wasLeftOpen, withDefaults } from "../options/schema.ts";
import { trainsEmbeddings } from "./build.ts";
import { withRanks } from "./choose_ranks.ts";
import { chosenEmbeddingRule, embeddingOptimizerOf } from "./method_fields.ts";
import type { Recipe } from "./recipe.ts";
import type { RunState } from "./run_state.ts";

type Saved = Pick<RunState, "shape" | "rates" | "layerwise">;

interface Resumed {
  readonly recipe: Recipe;
  readonly notes: readonly Phrase[];
}

/** The recipe with what the run began with, unless other options are given. */
export function resumedRecipe(given: Recipe, saved: Saved): Resumed {
  const { projection } = saved.shape.optimizer;
  const ranked = given.options.rank === "auto" ? withRanks(given, projection?.ranks ?? {}) : given;
  const clipped = withSavedClipping(ranked, saved);
  const reset = withSavedReset(clipped.recipe, saved);
  const kept = withSavedLayerwise(reset.recipe, saved);
  const restarted = withSavedRestarts(kept.recipe, saved);
  const { recipe, notes } = withSavedEmbeddingRule(restarted, saved);
  return { recipe, notes: [...clipped.notes, ...reset.notes, ...kept.notes, ...notes] };
}

/** Checkpoints of versions that did not clip have no limit. */
function withSavedClipping(recipe: Recipe, { rates: { maxGradNorm = 0 } }: Saved): Resumed {
  const { options, rates, shape } = recipe, usual = rates.maxGradNorm;
  if (usual === maxGradNorm || !wasLeftOpen(options, "maxGradNorm")) return { recipe, notes: [] };
  const clips = maxGradNorm > 0 || undefined;
  return {
    recipe: {
      ...recipe,
      options: withDefaults(options, { maxGradNorm }),
      rates: { ...rates, maxGradNorm },
      shape: { ...shape, optimizer: { ...shape.optimizer, clips } },
    },
    notes: [
      phrase`gradients are clipped as in the checkpoint: ${
        option("maxGradNorm", maxGradNorm)
      }, where a new run has ${usual}`,
    ],
  };
}

/** How long moments have been gathered follows from it. */
function withSavedReset(recipe: Recipe, { rates: { momentumReset = 0 } }: Saved): Resumed {
  const { options, rates } = recipe, usual = rates.momentumReset;
  if (usual === momentumReset || !wasLeftOpen(options, "momentumReset")) {
    return { recipe, notes: [] };
  }
  return {
    recipe: {
      ...recipe,
      options: withDefaults(options, { momentumReset }),
      rates: { ...rates, momentumReset },
    },
    notes: [
      phrase`moments begin anew as in the checkpoint: ${
        option("momentumReset", momentumReset)
      }, where a new run has ${usual}`,
    ],
  };
}

/** Gradients that wait for each other are clipped by their common norm; sums in INT8 cannot wait. */
function withSavedLayerwise(recipe: Recipe, { layerwise }: Saved): Resumed {
  const { options, shape } = recipe, { optimizer } = shape;
  if (layerwise !== false || !wasLeftOpen(options, "layerwise") || optimizer.accumulatorQuant) {
    return { recipe, notes: [] };
  }
  return {
    recipe: {
      ...recipe,
      options: withDefaults(options, { layerwise }),
      shape: { ...shape, optimizer: { ...optimizer, exchange: true } },
    },
    notes: [
      phrase`gradients wait for the end of a step as in the checkpoint: ${
        option("layerwise", layerwise)
      }`,
    ],
  };
}

/** What is left open of restarts stays, however many steps there are now. */
function withSavedRestarts(recipe: Recipe, { rates: saved }: Saved): Recipe {
  const { rates } = recipe;
  const {
    jaggedRestartSteps = saved.jaggedRestartSteps,
    jaggedRestartWarmupSteps = saved.jaggedRestartWarmupSteps,
  } = rates;
  return { ...recipe, rates: { ...rates, jaggedRestartSteps, jaggedRestartWarmupSteps } };
}

function withSavedEmbeddingRule(recipe: Recipe, { shape: { optimizer: saved } }: Saved): Resumed {
  const { shape } = recipe, { optimizer } = shape, { rules } = optimizer;
  const { embeddings, head } = saved.rules;
  if (chosenEmbeddingRule(recipe.options) || embeddings === rules.embeddings) {
    return { recipe, notes: [] };
  }
  const resumed = {
    ...recipe,
    shape: { ...shape, optimizer: { ...optimizer, rules: { ...rules, embeddings, head } } },
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

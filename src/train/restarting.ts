/** When the adapters of a run restart: as its options say, or by its length. */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { MOST_RESTART_STEPS, MOST_RESTART_WARMUP } from "./fields.ts";
import type { Recipe } from "./recipe.ts";

/** The recipe with what is left open decided, and for the user what will not happen. */
export function withRestarts(
  recipe: Recipe,
  steps: number,
): { readonly recipe: Recipe; readonly notes: readonly Phrase[] } {
  const { rates, shape: { optimizer } } = recipe;
  if (!optimizer.restarts) return { recipe, notes: [] };
  const {
    jaggedRestartSteps = Math.min(MOST_RESTART_STEPS, Math.ceil(steps / 4)),
    jaggedRestartWarmupSteps = Math.min(MOST_RESTART_WARMUP, Math.floor(jaggedRestartSteps / 10)),
  } = rates;
  const never = phrase`the run's ${steps} steps end before adapters are first merged: ${
    option("jaggedRestartSteps", jaggedRestartSteps)
  }`;
  return {
    recipe: { ...recipe, rates: { ...rates, jaggedRestartSteps, jaggedRestartWarmupSteps } },
    notes: jaggedRestartSteps < steps ? [] : [never],
  };
}

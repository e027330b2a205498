/** When the adapters of a run restart: as its options say, or by its length. */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { withDefaults } from "../options/schema.ts";
import { UserError } from "../options/user_error.ts";
import type { Recipe } from "./recipe.ts";
import { decidedRestarts, type Length, neverRises } from "./restart_times.ts";

/** The recipe with what is left open decided, and for the user what was, and what will not happen. */
export function withRestarts(
  recipe: Recipe,
  length: Length,
): { readonly recipe: Recipe; readonly notes: readonly Phrase[] } {
  const { rates, options, shape: { optimizer } } = recipe, { steps, warmupSteps } = length;
  if (!optimizer.restarts) return { recipe, notes: [] };
  const decided = decidedRestarts(rates, length), { jaggedRestartSteps: every } = decided;
  const fault = neverRises(decided);
  if (fault) throw new UserError(phrase`${option("jaggedRestartWarmupSteps")} ${fault}`);
  const interval = option("jaggedRestartSteps", every);
  const rest = option("jaggedRestartWarmupSteps", decided.jaggedRestartWarmupSteps);
  const notes: Phrase[] = [];
  if (rates.jaggedRestartSteps === undefined || rates.jaggedRestartWarmupSteps === undefined) {
    notes.push(
      phrase`adapters are merged, and begin anew, by the run's length: ${interval}, ${rest}`,
    );
  }
  if (every >= steps) {
    notes.push(phrase`the run's ${steps} steps end before adapters are first merged: ${interval}`);
  } else if (every < warmupSteps) {
    notes.push(
      phrase`adapters are merged before the rate has risen, in ${warmupSteps} steps: ${interval}`,
    );
  }
  return {
    recipe: {
      ...recipe,
      options: withDefaults(options, decided),
      rates: { ...rates, ...decided },
    },
    notes,
  };
}

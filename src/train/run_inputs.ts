/** Opens what a run trains on, with its warnings, before anything needs a GPU. */
import type { Phrase } from "../options/phrase.ts";
import type { OnPreparation } from "./events.ts";
import type { Recipe, TrainingData } from "./recipe.ts";
import { runNotes } from "./run_notes.ts";
import { type SamplePrompt, samplePrompts } from "./samples.ts";

export interface RunInputs {
  readonly prompts: readonly SamplePrompt[];
  readonly data: TrainingData;
  /** For the user: about the data, and about options that will not do what they seem to. */
  readonly warnings: readonly Phrase[];
}

/**
 * At the place that a checkpoint has saved, after `step` steps, or at the start. Throws a {@link
 * UserError} for whatever is wrong with the data, alone or with the options.
 */
export async function openInputs(
  recipe: Recipe,
  onPreparation?: OnPreparation,
  from?: { readonly data: unknown; readonly step: number },
): Promise<RunInputs> {
  const prompts = await samplePrompts(recipe);
  const data = await recipe.openData(from?.data, onPreparation, from?.step);
  return { prompts, data, warnings: [...data.warnings, ...runNotes(recipe.options, data)] };
}

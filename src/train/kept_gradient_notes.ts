/** What a run is told whose processes share states, and yet each keep all gradients. */
import { goesByGroups } from "../optim/gradient_groups.ts";
import { joinPhrases, option, type Phrase, phrase } from "../options/phrase.ts";
import type { TrainingShape } from "./build.ts";
import type { Recipe } from "./recipe.ts";

type Sharing = Pick<Recipe["options"], "shardStates" | "shardWeights" | "gradientAccumulation">;

/** Of a run of so many processes, with the `shape` of one of them. */
export function keptGradientNotes(options: Sharing, shape: TrainingShape, size: number): Phrase[] {
  const { shardStates, shardWeights } = options;
  if (!shardStates && !shardWeights) return [];
  const name = shardWeights ? "shardWeights" : "shardStates";
  // Those of adapters are small.
  if (goesByGroups(shape.optimizer) || shape.trained === "adapters") return [];
  const batches = options.gradientAccumulation / size, { clips } = shape.optimizer;
  const instead = [
    ...clips ? [phrase`${option("maxGradNorm", 0)}`] : [],
    ...batches > 1 ? [phrase`${option("gradientAccumulation", 1)}`] : [],
  ];
  const why = [
    ...clips ? ["to be clipped by the norm of all"] : [],
    ...batches > 1 ? [`since each process sums up ${batches} batches`] : [],
  ];
  return [
    phrase`${option(name, true)}: each process keeps all gradients until the end of a step, ${
      why.join(", and ")
    }; ${joinPhrases(instead, " and ")} would take less memory`,
  ];
}

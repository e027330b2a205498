/** The process that opens what a run trains on, as the run does, and says what is wrong with it. */
import { UserError } from "../../options/user_error.ts";
import { finetuneRecipe } from "../../train/finetune_recipe.ts";
import { pretrainRecipe } from "../../train/pretrain_recipe.ts";
import { ofAllRanks } from "../../train/rank_options.ts";
import { openInputs } from "../../train/run_inputs.ts";
import { sharedRecipe } from "../../train/team.ts";
import { readJsonLines } from "../processes/lines.ts";
import { chosenFinetuning, chosenPretraining } from "../worker/chosen_options.ts";
import type { TrainingTask } from "../worker/protocol.ts";
import type { Opened } from "./rehearsal.ts";

const { value: task } = await readJsonLines<TrainingTask>(Deno.stdin.readable).next();
console.log(JSON.stringify(await rehearse(task!)));

async function rehearse(task: TrainingTask): Promise<Opened> {
  try {
    const team = { rank: 0, size: task.ranks ?? 1 };
    const recipe = task.kind === "fine_tuning"
      ? await finetuneRecipe(ofAllRanks(chosenFinetuning(task), team))
      : await pretrainRecipe(ofAllRanks(chosenPretraining(task), team));
    const { warnings: own } = team.size > 1 ? sharedRecipe(recipe, team) : recipe;
    const { data, warnings } = await openInputs(recipe);
    await data.batches.close();
    return { warnings: [...own, ...warnings] };
  } catch (error) {
    if (error instanceof UserError) return { refused: error.explanation };
    throw error;
  }
}

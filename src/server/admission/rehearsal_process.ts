/** The process that opens what a run trains on, as the run does, and says what is wrong with it. */
import { UserError } from "../../options/user_error.ts";
import { finetuneRecipe } from "../../train/finetune_recipe.ts";
import { pretrainRecipe } from "../../train/pretrain_recipe.ts";
import { openInputs } from "../../train/run_inputs.ts";
import { readJsonLines } from "../processes/lines.ts";
import { chosenFinetuning, chosenPretraining } from "../worker/chosen_options.ts";
import type { TrainingTask } from "../worker/protocol.ts";
import type { Opened } from "./rehearsal.ts";

const { value: task } = await readJsonLines<TrainingTask>(Deno.stdin.readable).next();
console.log(JSON.stringify(await rehearse(task!)));

async function rehearse(task: TrainingTask): Promise<Opened> {
  try {
    const recipe = task.kind === "fine_tuning"
      ? await finetuneRecipe(chosenFinetuning(task))
      : await pretrainRecipe(chosenPretraining(task));
    const { data, warnings } = await openInputs(recipe);
    await data.batches.close();
    return { warnings: [...recipe.warnings, ...warnings] };
  } catch (error) {
    if (error instanceof UserError) return { refused: error.explanation };
    throw error;
  }
}

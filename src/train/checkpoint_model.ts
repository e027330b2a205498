/** Exports the model in a checkpoint, in the same form as a run's result. */
import { UserError } from "../options/user_error.ts";
import { adapterName } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Scope } from "../gpu/scope.ts";
import { option, phrase } from "../options/phrase.ts";
import { buildTraining } from "./build.ts";
import { readCheckpoint } from "../formats/checkpoint/reader.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import { finetuneRecipe } from "./finetune_recipe.ts";
import { gpuMemoryLimit } from "./gpu_memory.ts";
import type { PretrainOptions } from "./options.ts";
import { assertFits } from "./plan.ts";
import { pretrainRecipe } from "./pretrain_recipe.ts";
import { withRanks } from "./choose_ranks.ts";
import { assertSameRun, identityOf, readRunState } from "./run_state.ts";
import { restoreTensors } from "./state.ts";

/**
 * Writes `model/` or `adapter/` into `output` from the checkpoint named by `resume`, and returns
 * its path. The other options are those of the run; its data is not needed. Uses as much GPU memory
 * as the run. Faults are {@link UserError}s.
 */
export async function saveCheckpointModel(
  gpu: Gpu,
  options: { readonly finetune: FinetuneOptions } | { readonly pretrain: PretrainOptions },
): Promise<string> {
  const given = "finetune" in options
    ? await finetuneRecipe(options.finetune)
    : await pretrainRecipe(options.pretrain);
  const { resume, gpuMemory } = given.options;
  if (!resume) throw new UserError(phrase`a checkpoint is required: ${option("resume")}`);
  const checkpoint = await readCheckpoint(resume), state = readRunState(checkpoint);
  const recipe = given.options.rank === "auto"
    ? withRanks(given, state.shape.optimizer.projection?.ranks ?? {})
    : given;
  assertSameRun(resume, state, identityOf(recipe));
  const { config, shape, objective } = recipe, { capabilities } = gpu;
  assertFits(config, shape, capabilities, gpuMemoryLimit(gpu, gpuMemory), objective);
  const scope = new Scope(gpu);
  try {
    const training = buildTraining(scope, config, shape, capabilities, objective);
    await gpu.check();
    // Checkpoints hold only trained weights; the others are loaded as at a start.
    await recipe.start(gpu, training);
    await restoreTensors(gpu, training, checkpoint);
    return await recipe.save(gpu, training, {
      steps: state.step,
      tokens: state.tokens,
      final_loss: state.loss,
      first_eval_loss: state.first_eval_loss,
      adapter: adapterName(gpu.adapter),
    });
  } finally {
    scope.release();
  }
}

/** Saves the model in a checkpoint, in the same form as a run's result. */
import { join } from "../packages/std_path.ts";
import { saveCheckpointFolder, saveCheckpointWeights } from "../export/checkpoint_model.ts";
import { makeModelFolder } from "../export/new_folder.ts";
import { isCheckpoint, openCheckpoint } from "../formats/checkpoint/contents.ts";
import { readCheckpoint } from "../formats/checkpoint/reader.ts";
import { findModel } from "../formats/find_model.ts";
import { UserError } from "../options/user_error.ts";
import { adapterName } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { option, phrase } from "../options/phrase.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import { finetuneRecipe } from "./finetune_recipe.ts";
import type { PretrainOptions } from "./options.ts";
import { pretrainRecipe } from "./pretrain_recipe.ts";
import { resumedRecipe } from "./resumed_recipe.ts";
import { assertSameRun, identityOf } from "./run_identity.ts";
import { readRunState } from "./run_state.ts";
import type { SaveProgress } from "../export/checkpoint_model.ts";

/** A run whose newest checkpoint is saved as a model, or one of its checkpoints. */
export interface SavedRun extends SaveProgress {
  /** The run's output folder, or a checkpoint's. */
  readonly run: string;
  /** Folder to write the model or adapter to; it must not hold one yet. */
  readonly output: string;
}

/** The options of a run, with `resume` naming the checkpoint and `output` where to write. */
export type RunOfCheckpoint =
  | { readonly finetune: FinetuneOptions }
  | { readonly pretrain: PretrainOptions };

/**
 * Writes the model of a stopped run, or of any checkpoint, as a folder in Hugging Face's layout, or
 * in peft's if adapters are trained; returns its path. Needs neither the GPU nor the run's data.
 *
 * Throws a {@link UserError} if there is no checkpoint, or `output` already holds a model.
 *
 * @example
 * ```ts
 * import { saveCheckpointModel } from "@deno-galore/trainer";
 *
 * await saveCheckpointModel({ run: "runs/nano", output: "models/nano" });
 * ```
 */
export function saveCheckpointModel(saved: SavedRun): Promise<string>;
/**
 * Of a checkpoint that an earlier version wrote, which lacks the tokenizer: with the options of its
 * run, below whose `output` it writes `model/` or `adapter/`, and the GPU. Throws a {@link UserError}
 * if they are those of another run.
 */
export function saveCheckpointModel(gpu: Gpu, run: RunOfCheckpoint): Promise<string>;
export async function saveCheckpointModel(
  first: SavedRun | Gpu,
  run?: RunOfCheckpoint,
): Promise<string> {
  return run ? await saveByOptions(first as Gpu, run) : await saveByFolder(first as SavedRun);
}

async function saveByFolder({ run, output, ...progress }: SavedRun): Promise<string> {
  const { model, adapter = model } = await findModel(run);
  if (!await isCheckpoint(adapter)) {
    throw new UserError(
      `${run}: is no checkpoint, nor the folder of a run that was stopped`,
      adapter === run ? undefined : `what the run has saved can be used as it is: ${adapter}`,
    );
  }
  await makeModelFolder(output);
  await saveCheckpointFolder(adapter, output, progress);
  return output;
}

async function saveByOptions(gpu: Gpu, options: RunOfCheckpoint): Promise<string> {
  const given = "finetune" in options
    ? await finetuneRecipe(options.finetune)
    : await pretrainRecipe(options.pretrain);
  const { resume, output } = given.options;
  if (!resume) throw new UserError(phrase`a checkpoint is required: ${option("resume")}`);
  const state = readRunState(await readCheckpoint(resume));
  const { recipe } = resumedRecipe(given, state);
  assertSameRun(resume, state, identityOf(recipe));
  using contents = await openCheckpoint(resume);
  const folder = join(output, contents.result);
  await Deno.mkdir(folder, { recursive: true });
  await saveCheckpointWeights(contents, folder, {}, recipe.base);
  await recipe.describe!(folder, contents.parameters, {
    steps: state.step,
    tokens: state.tokens,
    final_loss: state.loss,
    first_eval_loss: state.first_eval_loss,
    adapter: adapterName(gpu.adapter),
  });
  return folder;
}

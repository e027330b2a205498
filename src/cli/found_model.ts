/** The model that a command was given, and what is said about it. */
import { join } from "../packages/std_path.ts";
import { orItsGguf } from "../files/gguf_path.ts";
import { isThere, statOf } from "../files/stat.ts";
import { isCheckpoint } from "../formats/checkpoint/contents.ts";
import { findModel, type FoundModel } from "../formats/find_model.ts";
import { type FromPretrainedOptions, LlamaForCausalLM } from "../inference/llama_for_causal_lm.ts";
import { isHubSpec } from "../hub/spec.ts";
import { UserError } from "../options/user_error.ts";
import type { Io } from "./command.ts";
import { whileDoing } from "./working.ts";

/** What the options name; says what was taken from the folder of a run. */
export async function foundModel(
  { model, adapter }: { readonly model: string; readonly adapter?: string },
  io: Io,
): Promise<FoundModel> {
  const found = await findModel(model, adapter);
  if (found.note) io.log(found.note);
  await assertModel(found.model);
  return found;
}

/** The folder around runs, or around models, is often given in place of one of them. */
async function assertModel(path: string): Promise<void> {
  if (isHubSpec(path) || !(await statOf(path))?.isDirectory) return;
  if (await isThere(join(path, "config.json")) || await isCheckpoint(path)) return;
  if (await orItsGguf(path) !== path) return;
  throw new UserError(
    `model ${path}: holds no model`,
    "its folder has a config.json, a .gguf file, or what a run has saved",
  );
}

/** Loads a model that was found. */
export function loadModel(
  model: string,
  options: FromPretrainedOptions,
  io: Io,
): Promise<LlamaForCausalLM> {
  return whileDoing(
    io,
    "loading weights",
    (report) =>
      LlamaForCausalLM.fromPretrained(model, {
        ...options,
        onProgress: (share) => report({ share }),
      }),
  );
}

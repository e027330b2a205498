/** The model that a command was given, and what is said about it. */
import { findModel, type FoundModel } from "../formats/find_model.ts";
import { type FromPretrainedOptions, LlamaForCausalLM } from "../inference/llama_for_causal_lm.ts";
import type { Io } from "./command.ts";
import { whileDoing } from "./working.ts";

/** What the options name; says what was taken from the folder of a run. */
export async function foundModel(
  { model, adapter }: { readonly model: string; readonly adapter?: string },
  io: Io,
): Promise<FoundModel> {
  const found = await findModel(model, adapter);
  if (found.note) io.log(found.note);
  return found;
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

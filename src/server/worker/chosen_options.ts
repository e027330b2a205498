/** The options of a job's run, from its task. */
import { type OptionFields, withoutDefaults } from "../../options/schema.ts";
import { type FinetuneOptions, finetuneOptions } from "../../train/finetune_options.ts";
import { type PretrainOptions, pretrainOptions } from "../../train/options.ts";
import type { TrainingTask } from "./protocol.ts";

/** A stored job has all options; a run's notes are only about those that someone chose. */
const chosen = ({ fields }: { fields: OptionFields }, { options }: Pick<TrainingTask, "options">) =>
  withoutDefaults(fields, options);

/** Of a fine-tuning job. */
export function chosenFinetuning(task: Pick<TrainingTask, "options">): FinetuneOptions {
  return finetuneOptions.parseUnknown(chosen(finetuneOptions, task));
}

/** Of a pre-training job. */
export function chosenPretraining(task: Pick<TrainingTask, "options">): PretrainOptions {
  return pretrainOptions.parseUnknown(chosen(pretrainOptions, task));
}

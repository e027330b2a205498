/** Keys of LLaMA-Factory whose values need interpretation; see keys.ts. */
import { TEMPLATE_NAMES } from "../../data/instruct/templates.ts";
import { isHubSpec } from "../../hub/spec.ts";
import { presetOf } from "../../train/presets.ts";
import {
  fault,
  isLlamaFactory,
  isNo,
  type KeyContext,
  listOf,
  type Meaning,
  pretrains,
  type Reader,
  show,
} from "./meaning.ts";
import { OPTIMIZERS } from "./optimizer_values.ts";
import { SCHEDULE } from "./schedule_values.ts";

/** Keys whose values need interpretation. */
export const READ: Readonly<Record<string, Reader>> = {
  ...SCHEDULE,
  ...OPTIMIZERS,
  stage: (value, { has }) => {
    if (value === "pt" || (value === "sft" && has("template"))) return {};
    const known = has("template") ? "sft or pt" : "pt: instructions are for fine-tuning";
    return fault(`must be ${known}, got ${show(value)}`);
  },
  train_from_scratch: (value, { has }) => {
    if (value === false || (value === true && has("from"))) return {};
    const known = has("from") ? "true or false" : "false";
    return fault(`must be ${known}, got ${show(value)}: fine-tuning starts from a model's weights`);
  },
  // With random weights it is the model's shape; a preset is nothing else.
  model_name_or_path: (value, file) => {
    const model = typeof value === "string" ? hubOrPath(value) : value;
    const shapeOnly = file.get("train_from_scratch") === true || presetOf(value) !== undefined;
    return { options: pretrains(file) && !shapeOnly ? { from: model } : { model } };
  },
  dataset_dir: (value) =>
    typeof value === "string" && /^(ONLINE|REMOTE:)/.test(value)
      ? fault(`${value} is not supported: use data: [hf:org/name] for datasets on the hub`)
      : { options: { datasetDir: value } },
  template: (value, file) =>
    value === "default" && isLlamaFactory(file)
      ? fault(
        "default is a format of its own in LLaMA-Factory (Human: …, Assistant: …), which no model " +
          `here has: leave it out for the tokenizer's own template, or name one of ${
            TEMPLATE_NAMES.slice(1).join(", ")
          }`,
      )
      : typeof value === "string" && !TEMPLATE_NAMES.includes(value)
      ? {
        fault: {
          message: `must be one of ${TEMPLATE_NAMES.join(", ")}, got ${value}`,
          near: [value, TEMPLATE_NAMES],
        },
      }
      : { options: { template: value } },
  // As in LLaMA-Factory, a fraction below 1, or a number of examples.
  val_size: (value) => ({ options: { evalShare: value } }),
  add_special_tokens: (value) => ({ options: { addTokens: listOf(value) } }),
  // A list is our own option, a string with commas LLaMA-Factory's key.
  add_tokens: (value) =>
    Array.isArray(value) ? { options: { addTokens: value } } : fault(
      "adds plain tokens there, and special ones here: use add_special_tokens, or a list",
    ),
  resize_vocab: (value, { get }) =>
    value === false || get("add_special_tokens") !== undefined ? {} : fault(
      "needs add_special_tokens: tokens without a row are refused where they are used",
    ),
  additional_target: (value) =>
    listOf(value).every((name) => name === "embed_tokens" || name === "lm_head")
      ? { options: { trainEmbeddings: true } }
      : fault(`must be of embed_tokens and lm_head, which are trained whole, got ${show(value)}`),
  // In pre-training a choice, in fine-tuning a boolean.
  packing: (value, { has }) => ({
    options: {
      packing: typeof value === "boolean" && !has("template") ? value ? "packed" : "padded" : value,
    },
  }),
  neat_packing: (value, file) => {
    if (typeof value !== "boolean") return fault(`must be true or false, got ${show(value)}`);
    const packing = file.get("packing");
    if (packing === undefined) return { options: { packing: value } };
    if (packing === value) return {};
    return value ? fault(`true disagrees with ${file.line("packing")}: false`) : fault(
      `false is not supported with ${
        file.line("packing")
      }: packed examples never attend to each other`,
    );
  },
  max_steps: (value) => value === -1 ? {} : { options: { steps: value } },
  num_train_epochs: (value, file) => {
    const steps = file.get("max_steps");
    if (steps === undefined || steps === -1) return { options: { epochs: value } };
    return { note: `has no effect: ${file.line("max_steps")} takes precedence` };
  },
  bf16: (value, file) => {
    if (typeof value !== "boolean") return fault(`must be true or false, got ${show(value)}`);
    if (file.get("pure_bf16") === true) return {};
    return { options: { dtype: value ? "bfloat16" : "float32" } };
  },
  pure_bf16: (value) => {
    if (typeof value !== "boolean") return fault(`must be true or false, got ${show(value)}`);
    return value ? { options: { dtype: "bfloat16" } } : {};
  },
  disable_gradient_checkpointing: (value, file) => {
    if (typeof value !== "boolean") return fault(`must be true or false, got ${show(value)}`);
    const other = file.get("gradient_checkpointing");
    if (other === !value) return {};
    return { options: { activationCheckpointing: !value } };
  },
  save_strategy: (value) => {
    if (value === "steps") return {};
    if (value === "epoch") return { options: { saveEvery: "epoch" } };
    if (isNo(value)) return { options: { saveEvery: 0 } };
    const best = value === "best" ? ": load_best_model_at_end: true saves each new best" : "";
    return fault(`must be steps, epoch or no, got ${show(value)}${best}`);
  },
  save_steps: (value, file) => {
    const strategy = file.get("save_strategy");
    if (strategy === undefined || strategy === "steps") return { options: { saveEvery: value } };
    return { note: `has no effect with ${file.line("save_strategy")}: ${show(strategy)}` };
  },
  eval_strategy: evalStrategy,
  // Its name before transformers 4.46.
  evaluation_strategy: evalStrategy,
  eval_steps: (value, file) => {
    const strategy = file.get("eval_strategy") ?? file.get("evaluation_strategy");
    if (strategy === undefined || strategy === "steps") return { options: { evalEvery: value } };
    const key = file.get("eval_strategy") === undefined ? "evaluation_strategy" : "eval_strategy";
    return { note: `has no effect with ${file.line(key)}: ${show(strategy)}` };
  },
  overwrite_output_dir: (value, file) => {
    const resume = file.get("resume_from_checkpoint");
    if (resume === undefined || resume === false) return { options: { overwriteOutput: value } };
    return { note: `has no effect: ${file.line("resume_from_checkpoint")} continues the run` };
  },
  resume_from_checkpoint: (value) =>
    value === false ? {} : { options: { resume: value === true ? "auto" : value } },
};

/** `meta-llama/Meta-Llama-3-8B` is a folder if it exists, else a name on the hub. */
function hubOrPath(model: string): string {
  if (isHubSpec(model) || !/^[\w-][\w.-]*\/[\w.-]+$/.test(model) || model.endsWith(".gguf")) {
    return model;
  }
  try {
    Deno.statSync(model);
    return model;
  } catch {
    return `hf:${model}`;
  }
}

function evalStrategy(value: unknown, file: KeyContext): Meaning {
  // Then nothing is held out either, unless `val_size` is set.
  if (isNo(value)) return { options: { evalEvery: 0 }, implied: { evalShare: 0 } };
  if (value === "epoch") return { options: { evalEvery: "epoch" } };
  if (value !== "steps") return fault(`must be steps, epoch or no, got ${show(value)}`);
  if (file.get("eval_steps") !== undefined) return {};
  // As in transformers: at every logging step.
  return { options: { evalEvery: file.get("logging_steps") ?? 500 } };
}

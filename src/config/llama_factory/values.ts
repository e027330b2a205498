/** Keys of LLaMA-Factory whose values need interpretation; see keys.ts. */
import { TEMPLATE_NAMES } from "../../data/instruct/templates.ts";
import { isHubSpec } from "../../hub/spec.ts";
import { LAYER_MODULES, PROJECTION_PARTS } from "../../model/description.ts";
import type { Fault } from "../../options/faults.ts";
import { presetOf } from "../../train/presets.ts";
import { quoted, shortened } from "../../text.ts";

/** The file that contains a key, and the command that reads it. */
export interface KeyContext {
  /** The value of another key; undefined if absent or null. */
  get(key: string): unknown;
  /** `warmup_ratio on line 12` */
  line(key: string): string;
  /** Whether the command has this option. */
  has(option: string): boolean;
}

/** The meaning of a key. */
export interface Meaning {
  readonly options?: Readonly<Record<string, unknown>>;
  /** Options that it implies in LLaMA-Factory, unless file or flags set them. */
  readonly implied?: Readonly<Record<string, unknown>>;
  readonly fault?: Pick<Fault, "message" | "near">;
  /** What the user should know, although the key is accepted. */
  readonly note?: string;
}
type Reader = (value: unknown, file: KeyContext) => Meaning;

/** Keys whose values need interpretation. */
export const READ: Readonly<Record<string, Reader>> = {
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
  lr_scheduler_type: (value, file) => {
    const { has } = file;
    switch (value) {
      case "cosine_with_min_lr":
        return withFloor(file);
      case "cosine":
      case "linear":
        // In LLaMA-Factory the rate decays to zero.
        return { options: { scheduler: value }, implied: { minLrRatio: 0 } };
      case "constant":
        return {
          options: { scheduler: value },
          implied: has("warmupRatio") ? { warmupRatio: 0 } : { warmupSteps: 0 },
        };
      case "constant_with_warmup":
        return { options: { scheduler: "constant" } };
    }
    const known = [
      ...["cosine", "cosine_with_min_lr", "linear", "constant", "constant_with_warmup"],
    ];
    return {
      fault: {
        message: `must be one of ${known.join(", ")}, got ${show(value)}`,
        near: [String(value), known],
      },
    };
  },
  lr_scheduler_kwargs: (value, file) =>
    file.get("lr_scheduler_type") === "cosine_with_min_lr" || JSON.stringify(value) === "{}"
      ? {}
      : fault("is supported only with lr_scheduler_type: cosine_with_min_lr, for its floor"),
  min_lr: floorOf,
  min_lr_rate: floorOf,
  warmup_ratio: (value, file) => {
    const steps = file.get("warmup_steps");
    if (steps !== undefined && steps !== 0) {
      return { note: `has no effect: ${file.line("warmup_steps")} takes precedence` };
    }
    return withoutWarmup(value, file) ?? warmupShare(value, file);
  },
  warmup_steps: (value, file) => {
    // As in transformers: `warmup_steps` takes precedence unless 0; below 1 it is a ratio.
    if (value === 0 && file.get("warmup_ratio") !== undefined) return {};
    const isShare = typeof value === "number" && value > 0 && value < 1;
    return withoutWarmup(value, file) ??
      (isShare ? warmupShare(value, file) : { options: { warmupSteps: value } });
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
    // Some YAML loaders read `no` as false.
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
  galore_target: (value) =>
    isEveryProjection(value)
      ? {}
      : fault(`must be all: GaLore projects every linear layer, got ${show(value)}`),
  apollo_target: (value) =>
    isEveryProjection(value)
      ? {}
      : fault(`must be all: APOLLO scales every linear layer, got ${show(value)}`),
  optim_args: (value, file) => {
    const optim = String(file.get("optim")), [, family] = optim.match(/^(galore|apollo)_/) ?? [];
    if (!family) return fault("needs optim: apollo_adamw, or one of galore's");
    const options: Record<string, unknown> = {};
    for (const [name, given] of Object.entries(optimArgs(value))) {
      const fixed = OPTIM_ARGS_ONLY[family][name];
      if (name === "scale") options[`${family}Scale`] = Number(given);
      else if (name === "rank") options.rank = Number(given);
      else if (name === "update_proj_gap") options.updateProjGap = Number(given);
      else if (name === "scale_type" && family === "apollo") continue; // names the method
      else if (!fixed) return fault(`has no ${name} here, with ${file.line("optim")}: ${optim}`);
      else if (fixed !== given) return fault(`must have ${name}=${fixed}, got ${given}`);
    }
    return { options };
  },
};

/** The only supported values of some of transformers' `optim_args`, by family. */
const OPTIM_ARGS_ONLY: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  galore: { proj_type: "std" },
  apollo: { proj: "random", proj_type: "std" },
};

/** transformers' `optim_args`: `rank=1,scale=128`. */
export function optimArgs(value: unknown): Record<string, string> {
  const pairs = typeof value === "string" ? value.split(",") : [];
  return Object.fromEntries(pairs.map((pair) => {
    const [name, ...rest] = pair.split("=");
    return [name.trim(), rest.join("=").trim()];
  }));
}

/** Whether the file is of a pre-training run: by its command, or by its stage for `memory`. */
export function pretrains({ get, has }: KeyContext): boolean {
  return has("from") && (!has("template") || get("stage") === "pt");
}

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

/** Whether it is a file of LLaMA-Factory, not one of ours with a few of its keys. */
export function isLlamaFactory({ get }: Pick<KeyContext, "get">): boolean {
  return get("model_name_or_path") !== undefined;
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

/** transformers' `cosine_with_min_lr`: its floor is a rate, here a fraction of the peak. */
function withFloor(file: KeyContext): Meaning {
  const kwargs = (file.get("lr_scheduler_kwargs") ?? {}) as Record<string, unknown>;
  const unknown = Object.keys(kwargs).filter((key) => key !== "min_lr" && key !== "min_lr_rate");
  if (unknown.length) return fault(`lr_scheduler_kwargs has no ${unknown.join(", ")} here`);
  const floor = kwargs.min_lr ?? file.get("min_lr");
  const rate = kwargs.min_lr_rate ?? file.get("min_lr_rate");
  const peak = file.get("learning_rate") ?? file.get("lr");
  const scheduler = "cosine";
  if (rate !== undefined && floor === undefined) {
    return { options: { scheduler, minLrRatio: rate } };
  }
  if (typeof floor !== "number" || rate !== undefined) {
    return fault("cosine_with_min_lr needs min_lr or min_lr_rate in lr_scheduler_kwargs, not both");
  }
  if (typeof peak !== "number") {
    return fault("min_lr needs learning_rate in the same file, or min_lr_rate in its place");
  }
  // Without the digits that a quotient of decimal fractions gains.
  return { options: { scheduler, minLrRatio: Number((floor / peak).toPrecision(12)) } };
}

/** Read with the scheduler that they belong to. */
function floorOf(_: unknown, file: KeyContext): Meaning {
  return file.get("lr_scheduler_type") === "cosine_with_min_lr"
    ? {}
    : fault("needs lr_scheduler_type: cosine_with_min_lr");
}

/** A warm-up as a share of the steps, which pre-training knows from the start. */
function warmupShare(value: unknown, { get, has }: KeyContext): Meaning {
  if (has("warmupRatio")) return { options: { warmupRatio: value } };
  const steps = get("max_steps") ?? get("steps");
  if (typeof value !== "number" || typeof steps !== "number") {
    return fault("needs max_steps in the same file; or give warmup_steps");
  }
  return { options: { warmupSteps: Math.round(value * steps) } };
}

function isNo(value: unknown): boolean {
  return value === "no" || value === false;
}

/** transformers' `constant` has no warm-up, regardless of other options. */
function withoutWarmup(value: unknown, file: KeyContext): Meaning | undefined {
  if (file.get("lr_scheduler_type") !== "constant") return undefined;
  if (value === 0) return {};
  return fault(
    `${show(value)} has no effect with ${file.line("lr_scheduler_type")}: constant has no ` +
      "warm-up, constant_with_warmup has",
  );
}

/** Whether it is `all` or a list of name parts that covers every projection. */
function isEveryProjection(value: unknown): boolean {
  const given = listOf(value);
  return given.includes("all") ||
    PROJECTION_PARTS.every((part) =>
      LAYER_MODULES[part].split(".").some((name) => given.includes(name))
    );
}

/** LLaMA-Factory's lists are YAML lists or comma-separated words. */
export function listOf(value: unknown): unknown[] {
  if (typeof value !== "string") return Array.isArray(value) ? value : [value];
  return value.split(",").map((word) => word.trim()).filter(Boolean);
}

export function fault(message: string): Meaning {
  return { fault: { message } };
}

export function show(value: unknown): string {
  return typeof value === "string" ? shortened(value) : quoted(value);
}

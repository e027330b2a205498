/** Keys of LLaMA-Factory whose values need interpretation; see keys.ts. */
import { TEMPLATE_NAMES } from "../../data/instruct/templates.ts";
import { isHubSpec } from "../../hub/spec.ts";
import { LAYER_MODULES, PROJECTION_PARTS } from "../../model/description.ts";
import type { Fault } from "../../options/faults.ts";

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
    const expected = !has("template");
    if (value === expected) return {};
    return fault(
      `must be ${expected}, got ${show(value)}: pre-training starts from random weights`,
    );
  },
  model_name_or_path: (model) => ({
    options: { model: typeof model === "string" ? hubOrPath(model) : model },
  }),
  dataset_dir: (value) =>
    typeof value === "string" && /^(ONLINE|REMOTE:)/.test(value)
      ? fault(`${value} is not supported: use data: [hf:org/name] for datasets on the hub`)
      : { options: { datasetDir: value } },
  template: (value) =>
    typeof value === "string" && !TEMPLATE_NAMES.includes(value)
      ? {
        fault: {
          message: `must be one of ${TEMPLATE_NAMES.join(", ")}, got ${value}`,
          near: [value, TEMPLATE_NAMES],
        },
      }
      : { options: { template: value } },
  val_size: (value) =>
    typeof value === "number" && value >= 0 && value < 1
      ? { options: { evalShare: value } }
      : fault(`must be a fraction below 1, not a number of examples, got ${show(value)}`),
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
  lr_scheduler_type: (value, { has }) => {
    switch (value) {
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
    const known = ["cosine", "linear", "constant", "constant_with_warmup"];
    return {
      fault: {
        message: `must be one of ${known.join(", ")}, got ${show(value)}`,
        near: [String(value), known],
      },
    };
  },
  warmup_ratio: (value, file) => withoutWarmup(value, file) ?? { options: { warmupRatio: value } },
  warmup_steps: (value, file) => {
    // As in transformers: `warmup_steps` takes precedence unless 0; below 1 it is a ratio.
    if (value === 0 && file.get("warmup_ratio") !== undefined) return {};
    const isShare = typeof value === "number" && value > 0 && value < 1;
    return withoutWarmup(value, file) ??
      { options: isShare ? { warmupRatio: value } : { warmupSteps: value } };
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
  save_strategy: (value, file) => {
    if (value === "steps") return {};
    // Some YAML loaders read `no` as false.
    if (value === "no" || value === false) return { options: { saveEvery: 0 } };
    return fault(`must be steps or no, got ${show(value)}${perEpoch("save_steps", value, file)}`);
  },
  save_steps: (value, file) =>
    isNo(file.get("save_strategy")) ? {} : { options: { saveEvery: value } },
  eval_strategy: evalStrategy,
  // Its name before transformers 4.46.
  evaluation_strategy: evalStrategy,
  eval_steps: (value, file) =>
    isNo(file.get("eval_strategy") ?? file.get("evaluation_strategy"))
      ? {}
      : { options: { evalEvery: value } },
  resume_from_checkpoint: (value) =>
    value === false ? {} : { options: { resume: value === true ? "auto" : value } },
  galore_target: (value) =>
    isEveryProjection(value)
      ? {}
      : fault(`must be all: GaLore projects every linear layer, got ${show(value)}`),
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
  if (value !== "steps") {
    return fault(`must be steps or no, got ${show(value)}${perEpoch("eval_steps", value, file)}`);
  }
  if (file.get("eval_steps") !== undefined) return {};
  // As in transformers: at every logging step.
  return { options: { evalEvery: file.get("logging_steps") ?? 500 } };
}

function perEpoch(key: string, value: unknown, file: KeyContext): string {
  return value === "epoch" && file.get(key) === undefined ? `: use steps, and ${key}` : "";
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
  return typeof value === "string" ? value : JSON.stringify(value);
}

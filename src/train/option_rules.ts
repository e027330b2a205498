/** Combinations of options that are refused, of several kinds of runs. */
import { PRESETS } from "../model/config.ts";
import { option, phrase } from "../options/phrase.ts";
import type { Rule } from "../options/schema.ts";
import { CONTINUE_METHODS, PRETRAIN_METHODS, restarts } from "./method_fields.ts";
import { type MethodName, methodOf } from "./methods.ts";
import { looksLikePath, PRESET_NAMES, presetOf } from "./presets.ts";
import { decidedRestarts, neverRises } from "./restart_times.ts";

/** A run starts from random weights, or from those of a model. */
export const startRule: Rule = ({ model, from }, given) => {
  if (given.model === undefined && given.from === undefined) {
    return {
      option: "model",
      message: phrase`is required: a preset or a config.json to train from random weights, or
        ${option("from")} to train a model further`,
    };
  }
  if (model !== undefined && from !== undefined) {
    return {
      option: "model",
      message: phrase`starts from random weights, ${
        option("from", from)
      } from those of a model: keep
        only one`,
    };
  }
  return presetOf(from) && {
    option: "from",
    message: phrase`${String(from)} is a preset, which has no weights: ${
      option("model", from)
    } starts from
      random ones`,
  };
};

/** Refuses to start from random weights with what needs those of a model, and the other way. */
export const methodStartRule: Rule = ({ optimizer }, { from }) =>
  from !== undefined ? modelStart(optimizer, "from", from) : optimizer !== undefined &&
      !PRETRAIN_METHODS.includes(optimizer as MethodName)
    ? {
      option: "optimizer",
      message: phrase`${String(optimizer)} trains adapters beside the weights of a model, which ${
        option("from")
      } names; from random weights: ${PRETRAIN_METHODS.join(", ")}`,
    }
    : undefined;

/** Refuses to start from a model with what has no place for its matrices. */
export function modelStart(
  optimizer: unknown,
  named: string,
  value: unknown,
  fault = "optimizer",
) {
  if (optimizer === undefined || CONTINUE_METHODS.includes(optimizer as MethodName)) {
    return undefined;
  }
  return {
    option: fault,
    message: phrase`${
      String(optimizer)
    } trains factors in place of matrices, from random weights, and
      ${option(named, value)} starts from those of a model; with that: ${
      CONTINUE_METHODS.join(", ")
    }`,
  };
}

/** Refuses a preset that does not exist. */
export const knownPreset: Rule = ({ model }) =>
  typeof model === "string" && !looksLikePath(model) && !(model in PRESETS)
    ? {
      option: "model",
      message: `unknown preset ${model}; write a path with a slash or a dot: ./${model}`,
      near: [model, PRESET_NAMES],
    }
    : undefined;

/** Refuses a warm-up longer than the run. */
export const warmupRule: Rule = ({ warmupSteps, steps }) =>
  (warmupSteps as number) > (steps as number)
    ? {
      option: "warmupSteps",
      message: `must be at most the run's ${steps} steps, got ${warmupSteps}`,
    }
    : undefined;

/** Refuses restarts that never come, or that come before the rate has risen. */
export const restartRules: readonly Rule[] = [
  ({ jaggedRestartSteps: every, steps }) =>
    (every as number) >= (steps as number)
      ? {
        option: "jaggedRestartSteps",
        message:
          `must be fewer than the run's ${steps} steps, got ${every}: it would never restart`,
      }
      : undefined,
  (options) => {
    // In fine-tuning, whose steps may follow from the data, what is open is decided later.
    const { optimizer, jaggedRestartSteps: every, steps = 0, warmupSteps = 0 } =
      options as Restarting;
    if (!optimizer || !restarts(methodOf(optimizer)) || !(every ?? steps)) return undefined;
    const message = neverRises(decidedRestarts(options as Restarting, { steps, warmupSteps }));
    return message === undefined ? undefined : { option: "jaggedRestartWarmupSteps", message };
  },
  ({ jaggedRestartSteps: every, warmupSteps }) =>
    (every as number) < (warmupSteps as number)
      ? {
        option: "jaggedRestartSteps",
        message:
          `must be at least the ${warmupSteps} steps in which the learning rate rises, got ${every}`,
      }
      : undefined,
];

/** What decides when adapters restart. */
interface Restarting {
  readonly optimizer?: MethodName;
  readonly jaggedRestartSteps?: number;
  readonly jaggedRestartWarmupSteps?: number;
  readonly steps?: number;
  readonly warmupSteps?: number;
}

/** Refuses to resume a run and overwrite it at once. */
export const overwriteRule: Rule = ({ overwriteOutput, resume }) =>
  overwriteOutput === true && resume !== undefined
    ? {
      option: "overwriteOutput",
      message: phrase`deletes the run that ${option("resume", resume)} continues`,
    }
    : undefined;

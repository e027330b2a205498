/** Combinations of options that are refused, of several kinds of runs. */
import { PRESETS } from "../model/config.ts";
import { option, phrase } from "../options/phrase.ts";
import type { Rule } from "../options/schema.ts";
import { looksLikePath, PRESET_NAMES } from "./presets.ts";

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

/** Refuses to resume a run and overwrite it at once. */
export const overwriteRule: Rule = ({ overwriteOutput, resume }) =>
  overwriteOutput === true && resume !== undefined
    ? {
      option: "overwriteOutput",
      message: phrase`deletes the run that ${option("resume", resume)} continues`,
    }
    : undefined;

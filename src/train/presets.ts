/** Presets by name, and what a run takes from the width of its model. */
import { type LlamaConfig, type PresetName, PRESETS } from "../model/config.ts";
import type { Method } from "./methods.ts";

export const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];

/**
 * The rank of a run: as given, the method's own, or a quarter of the model's width, a multiple of 8.
 * With `auto`, the rank that the chosen ones are compared with.
 */
export function rankOf(
  { rank = "auto" }: { readonly rank?: number | "auto" },
  config: LlamaConfig,
  { apollo }: Pick<Method, "apollo"> = {},
): number {
  if (rank !== "auto") return rank;
  return apollo?.rank ?? Math.max(8, Math.floor(config.hiddenSize / 32) * 8);
}

/** The preset of that name, if it is one. */
export function presetOf(model: unknown): LlamaConfig | undefined {
  return typeof model === "string" && Object.hasOwn(PRESETS, model)
    ? PRESETS[model as PresetName]
    : undefined;
}

/** A name with a dot or a slash means a file or folder, any other a preset. */
export function looksLikePath(model: string): boolean {
  return /[./\\]/.test(model);
}

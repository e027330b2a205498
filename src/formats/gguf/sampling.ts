/** How a model is to be sampled: llama.cpp's defaults for it, in its file. */
import type { GenerationConfig, Sampled } from "../generation_config.ts";
import type { Metadata } from "./metadata.ts";
import { type KeyValues, value } from "./values.ts";

const KEYS = {
  temperature: "general.sampling.temp",
  topK: "general.sampling.top_k",
  topP: "general.sampling.top_p",
  minP: "general.sampling.min_p",
  repetitionPenalty: "general.sampling.penalty_repeat",
} as const;

/** Nothing for a model that decodes greedily: llama.cpp then has its own defaults. */
export function samplingMetadata(sampled: Sampled | undefined): KeyValues {
  if (!sampled) return {};
  const { temperature, topK, topP, minP, repetitionPenalty } = sampled;
  return {
    [KEYS.temperature]: value.float32(temperature),
    [KEYS.topK]: value.int32(topK),
    [KEYS.topP]: value.float32(topP),
    ...(minP === undefined ? {} : { [KEYS.minP]: value.float32(minP) }),
    ...(repetitionPenalty === undefined
      ? {}
      : { [KEYS.repetitionPenalty]: value.float32(repetitionPenalty) }),
  };
}

/** The settings that a file has. Throws a {@link UserError} that names the key. */
export function samplingOf(metadata: Metadata): Partial<GenerationConfig> {
  if (!metadata.has(KEYS.temperature)) return {};
  const positive = (key: string) => metadata.has(key) ? metadata.positive(key) : undefined;
  return {
    doSample: true,
    temperature: positive(KEYS.temperature),
    topK: metadata.has(KEYS.topK) ? metadata.index(KEYS.topK) : undefined,
    topP: positive(KEYS.topP),
    minP: metadata.values[KEYS.minP] === 0 ? 0 : positive(KEYS.minP),
    repetitionPenalty: positive(KEYS.repetitionPenalty),
  };
}

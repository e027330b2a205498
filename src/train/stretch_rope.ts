/** Sequences longer than a model's positions, by scaling its RoPE for the run and the saved model. */
import type { LlamaConfig } from "../model/config.ts";
import { longestSequence, type RopeScaling, yarnAttentionFactor } from "../model/rope_scaling.ts";
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";

/** Values of LLaMA-Factory's `rope_scaling`. */
export const STRETCHES = ["linear", "dynamic", "yarn", "llama3"] as const satisfies Stretch[];

/** A scaling that training can choose. */
export type Stretch = "linear" | "dynamic" | "yarn" | "llama3";

/** The options that decide it. */
export interface StretchOptions {
  /** Tokens of a sequence. */
  readonly seqLen: number;
  /** How to scale; by default sequences must fit the model's positions. */
  readonly ropeScaling?: Stretch;
}

/**
 * The configuration with RoPE scaled as the options ask, by LLaMA-Factory's factor: seqLen divided
 * by the model's positions, rounded up. Throws a {@link UserError} if sequences are longer than the
 * model's positions without a scaling, if they are not with one, and if RoPE is scaled already.
 */
export function stretchRope(
  config: LlamaConfig,
  { seqLen, ropeScaling: type }: StretchOptions,
  model: string,
): LlamaConfig {
  const longest = longestSequence(config);
  if (type === undefined) {
    if (seqLen <= longest) return config;
    throw new UserError(
      phrase`${option("seqLen", seqLen)} exceeds the ${longest} positions of ${model}`,
      phrase`${option("seqLen", longest)} or less, or ${option("ropeScaling", "yarn")}`,
    );
  }
  if (config.ropeScaling) {
    throw new UserError(
      phrase`${option("ropeScaling", type)}: the RoPE of ${model} is already scaled
        (${config.ropeScaling.type}), for ${longest} positions`,
      "change its rope_parameters in config.json instead",
    );
  }
  if (seqLen <= longest) {
    throw new UserError(
      phrase`${option("ropeScaling", type)} has no effect: ${option("seqLen", seqLen)} is within
        the ${longest} positions of ${model}`,
    );
  }
  const { maxPositions } = config, factor = Math.ceil(seqLen / maxPositions);
  return {
    ...config,
    // Dynamic scaling begins where the model's own positions end.
    maxPositions: type === "dynamic" ? maxPositions : maxPositions * factor,
    ropeScaling: scaled(type, factor, maxPositions),
  };
}

function scaled(
  type: typeof STRETCHES[number],
  factor: number,
  originalMaxPositions: number,
): RopeScaling {
  switch (type) {
    case "linear":
    case "dynamic":
      return { type, factor };
    case "yarn":
      return {
        type,
        factor,
        originalMaxPositions,
        attentionFactor: yarnAttentionFactor(factor),
        betaFast: 32,
        betaSlow: 1,
        truncate: true,
      };
    case "llama3":
      return { type, factor, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions };
  }
}

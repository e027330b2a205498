/** How RoPE is stretched for contexts longer than in pre-training. Names as in transformers. */

/** transformers' `rope_type`s that scale. */
export const ROPE_TYPES = ["linear", "dynamic", "yarn", "longrope", "llama3"] as const;

/** Positions are divided by the factor (Chen et al. 2023). */
export interface LinearScaling {
  /** `rope_type` in transformers. */
  readonly type: "linear";
  /** How many times longer sequences become. */
  readonly factor: number;
}

/** Beyond the model's positions the base grows with the length ("dynamic NTK"). */
export interface DynamicScaling {
  /** `rope_type` in transformers. */
  readonly type: "dynamic";
  /** How many times longer sequences may become; the base grows only as far as one needs. */
  readonly factor: number;
}

/**
 * Slow frequencies are divided by the factor, fast ones are kept, those between are interpolated
 * (Peng et al. 2023).
 */
export interface YarnScaling {
  /** `rope_type` in transformers. */
  readonly type: "yarn";
  /** Divisor of the slow frequencies. */
  readonly factor: number;
  /** Positions in pre-training. */
  readonly originalMaxPositions: number;
  /** Factor of cosines and sines, hence its square of attention's scores. */
  readonly attentionFactor: number;
  /** Turns within the original positions from which a frequency is kept. */
  readonly betaFast: number;
  /** Turns up to which it is divided by the whole factor. */
  readonly betaSlow: number;
  /** Whether the bounds of interpolation are rounded to whole dimensions. */
  readonly truncate: boolean;
}

/** Each frequency has its own divisor, and another beyond the original positions (Ding et al. 2024). */
export interface LongRopeScaling {
  /** `rope_type` in transformers. */
  readonly type: "longrope";
  /** (D/2): divisors for sequences within the original positions. */
  readonly shortFactors: readonly number[];
  /** (D/2): divisors for longer ones. */
  readonly longFactors: readonly number[];
  /** Positions in pre-training. */
  readonly originalMaxPositions: number;
  /** Factor of cosines and sines, at any length. */
  readonly attentionFactor: number;
}

/** Llama 3.1's: as YaRN, with bounds in wavelengths (Llama 3 herd of models, section 3.4.3). */
export interface Llama3Scaling {
  /** `rope_type` in transformers. */
  readonly type: "llama3";
  /** Divisor of the slow frequencies. */
  readonly factor: number;
  /** Turns within the original positions up to which a frequency is divided by the whole factor. */
  readonly lowFreqFactor: number;
  /** Turns from which it is kept. */
  readonly highFreqFactor: number;
  /** Positions in pre-training. */
  readonly originalMaxPositions: number;
}

/** How RoPE's frequencies are scaled for contexts longer than in pre-training. */
export type RopeScaling =
  | LinearScaling
  | DynamicScaling
  | YarnScaling
  | LongRopeScaling
  | Llama3Scaling;

/**
 * The longest sequence a model is meant for. Checkpoints often keep the unscaled
 * `max_position_embeddings` beside a scaling (Qwen's documentation says so), or replace it.
 */
export function longestSequence(
  { maxPositions, ropeScaling: scaling }: {
    readonly maxPositions: number;
    readonly ropeScaling?: RopeScaling;
  },
): number {
  switch (scaling?.type) {
    case "linear":
    case "dynamic":
      return Math.max(maxPositions, Math.floor(maxPositions * scaling.factor));
    case "yarn":
      return Math.max(maxPositions, Math.floor(scaling.originalMaxPositions * scaling.factor));
    default:
      return maxPositions;
  }
}

/** YaRN's factor of cosines and sines: 0.1 · m · ln(factor) + 1 (Peng et al. 2023, equation 22). */
export function yarnAttentionFactor(factor: number, mscale = 1): number {
  return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
}

/** LongRoPE's: √(1 + ln(factor) / ln(original positions)). */
export function longRopeAttentionFactor(factor: number, originalMaxPositions: number): number {
  return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositions));
}

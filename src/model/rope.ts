/**
 * Rotary position embedding: the table of cosines and sines (Su et al. 2021, section 3.4.2), with
 * its frequencies as transformers scales them (`modeling_rope_utils`).
 */
import type { LlamaConfig } from "./config.ts";
import type { Llama3Scaling, RopeScaling, YarnScaling } from "./rope_scaling.ts";

type RopeShape = Pick<LlamaConfig, "headSize" | "maxPositions" | "ropeTheta" | "ropeScaling">;

/** What a position is turned by. */
export interface RopeFrequencies {
  /** (D/2): radians per position of each pair of a head's halves. */
  readonly frequencies: Float64Array;
  /** Factor of cosines and sines. */
  readonly attentionFactor: number;
}

/** The frequencies of a sequence of `length` tokens: theta^(-2i/D), scaled as configured. */
export function ropeFrequencies(config: RopeShape, length: number): RopeFrequencies {
  const { ropeScaling: scaling } = config;
  const frequencies = unscaled(config);
  const attentionFactor = scaling && "attentionFactor" in scaling ? scaling.attentionFactor : 1;
  if (!scaling) return { frequencies, attentionFactor };
  return { frequencies: scaled(frequencies, scaling, config, length), attentionFactor };
}

/** Whether the frequencies depend on the length of the sequence. */
export function turnsByLength({ ropeScaling }: RopeShape): boolean {
  return ropeScaling?.type === "dynamic" || ropeScaling?.type === "longrope";
}

/** Sequences with the same value have the same frequencies. */
export function ropeRegime({ ropeScaling, maxPositions }: RopeShape, length: number): number {
  if (ropeScaling?.type === "dynamic") return Math.max(length, maxPositions);
  if (ropeScaling?.type === "longrope") return Number(length > ropeScaling.originalMaxPositions);
  return 0;
}

/** Positions of {@link ropeTable}. */
export interface RopeRows {
  /** First position. */
  readonly start: number;
  /** Position after the last. */
  readonly end: number;
  /** Tokens of the sequence, on which the frequencies of some scalings depend. */
  readonly length: number;
}

/** (end − start, D) float32: D/2 cosines, then D/2 sines, of each position. */
export function ropeTable(
  config: RopeShape,
  { start, end, length }: RopeRows,
): Float32Array<ArrayBuffer> {
  const { frequencies, attentionFactor } = ropeFrequencies(config, length);
  const half = frequencies.length;
  const table = new Float32Array((end - start) * 2 * half);
  for (let t = start; t < end; t++) {
    const row = (t - start) * 2 * half;
    for (let i = 0; i < half; i++) {
      table[row + i] = attentionFactor * Math.cos(t * frequencies[i]);
      table[row + half + i] = attentionFactor * Math.sin(t * frequencies[i]);
    }
  }
  return table;
}

function unscaled({ headSize: D, ropeTheta }: RopeShape, theta = ropeTheta): Float64Array {
  return Float64Array.from({ length: D / 2 }, (_, i) => theta ** (-2 * i / D));
}

function scaled(
  frequencies: Float64Array,
  scaling: RopeScaling,
  config: RopeShape,
  length: number,
): Float64Array {
  switch (scaling.type) {
    case "linear":
      return frequencies.map((frequency) => frequency / scaling.factor);
    case "dynamic": {
      const { headSize: D, maxPositions, ropeTheta } = config, { factor } = scaling;
      const growth = factor * Math.max(length, maxPositions) / maxPositions - (factor - 1);
      return unscaled(config, ropeTheta * growth ** (D / (D - 2)));
    }
    case "yarn":
      return yarn(frequencies, scaling, config);
    case "longrope": {
      const { shortFactors, longFactors, originalMaxPositions } = scaling;
      const factors = length > originalMaxPositions ? longFactors : shortFactors;
      return frequencies.map((frequency, i) => frequency / factors[i]);
    }
    case "llama3":
      return llama3(frequencies, scaling);
  }
}

/**
 * Interpolates between kept and divided frequencies along the dimensions i, from the one with
 * `betaFast` turns within the original positions to the one with `betaSlow`.
 */
function yarn(
  frequencies: Float64Array,
  { factor, originalMaxPositions, betaFast, betaSlow, truncate }: YarnScaling,
  { headSize: D, ropeTheta }: RopeShape,
): Float64Array {
  const dimension = (turns: number) =>
    D * Math.log(originalMaxPositions / (turns * 2 * Math.PI)) / (2 * Math.log(ropeTheta));
  const [from, to] = [dimension(betaFast), dimension(betaSlow)];
  const low = Math.max(truncate ? Math.floor(from) : from, 0);
  const high = Math.min(truncate ? Math.ceil(to) : to, D - 1);
  const width = high === low ? 0.001 : high - low;
  return frequencies.map((frequency, i) => {
    const divided = Math.min(Math.max((i - low) / width, 0), 1);
    return frequency * (1 - divided) + frequency / factor * divided;
  });
}

/**
 * Wavelengths beyond the original positions are stretched by the factor, short ones are kept, and
 * those in between are interpolated.
 */
function llama3(
  frequencies: Float64Array,
  { factor, lowFreqFactor, highFreqFactor, originalMaxPositions }: Llama3Scaling,
): Float64Array {
  return frequencies.map((frequency) => {
    const turns = originalMaxPositions * frequency / (2 * Math.PI);
    if (turns < lowFreqFactor) return frequency / factor;
    if (turns > highFreqFactor) return frequency;
    const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return (1 - smooth) * frequency / factor + smooth * frequency;
  });
}

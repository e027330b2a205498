/**
 * Llama 3.1's RoPE scaling as llama.cpp stores it: not its parameters, but the divisor of each
 * frequency (`rope_freqs.weight`). The parameters are recovered here, so that a model read from
 * GGUF can be saved in Hugging Face's layout.
 */
import type { LlamaConfig } from "../../model/config.ts";
import { ropeFrequencies } from "../../model/rope.ts";
import type { Llama3Scaling, RopeScaling } from "../../model/rope_scaling.ts";

/** Tolerance of factors: they are float32, and the original length is rounded. */
const TOLERANCE = 1e-4;

/** (D/2): divisors of the unscaled frequencies, which must not depend on the length. */
export function ropeFactors(config: LlamaConfig): Float64Array {
  const scaled = frequenciesOf(config);
  return frequenciesOf(withoutScaling(config)).map((frequency, i) => frequency / scaled[i]);
}

/**
 * The scaling whose (D/2) factors these are; undefined if they are all 1. What is not of Llama 3.1's
 * kind is LongRoPE with the same factors at any length.
 */
export function scalingFromFactors(
  config: LlamaConfig,
  factors: readonly number[],
  attentionFactor = 1,
): RopeScaling | undefined {
  const agree = (others: ArrayLike<number>) =>
    factors.every((factor, i) => Math.abs(others[i] / factor - 1) < TOLERANCE);
  if (attentionFactor === 1) {
    if (agree(factors.map(() => 1))) return undefined;
    const found = candidates(config, factors).find((ropeScaling) =>
      agree(ropeFactors({ ...config, ropeScaling }))
    );
    if (found) return found;
  }
  return {
    type: "longrope",
    shortFactors: factors,
    longFactors: factors,
    originalMaxPositions: config.maxPositions,
    attentionFactor,
  };
}

function frequenciesOf(config: LlamaConfig): Float64Array {
  return ropeFrequencies(config, config.maxPositions).frequencies;
}

function withoutScaling({ ropeScaling: _, ...unscaled }: LlamaConfig): LlamaConfig {
  return unscaled;
}

/**
 * Between unscaled frequencies and those divided by the factor, the unscaled share s grows with the
 * frequency f: s = (f · original / 2π − low) / (high − low). Only original / low and high / low can
 * be determined from it, so low is assumed to be 1, as in every published model.
 */
function candidates(config: LlamaConfig, factors: readonly number[]): Llama3Scaling[] {
  const turns = frequenciesOf(withoutScaling(config)).map((frequency) => frequency / (2 * Math.PI));
  const factor = Number(Math.max(...factors).toPrecision(6));
  const share = (i: number) => (1 / factors[i] - 1 / factor) / (1 - 1 / factor);
  const blended = factors.map((_, i) => i).filter((i) => share(i) > 1e-3 && share(i) < 1 - 1e-3);
  const scaling = (original: number, highFreqFactor: number): Llama3Scaling => ({
    type: "llama3",
    factor,
    lowFreqFactor: 1,
    highFreqFactor,
    originalMaxPositions: Math.max(1, Math.round(original)),
  });
  if (blended.length === 0) {
    // No frequency is interpolated: any length between the last unscaled and the first scaled one.
    const kept = turns.filter((_, i) => factors[i] < factor / 2).at(-1) ?? 1;
    const stretched = turns.find((_, i) => factors[i] >= factor / 2) ?? kept;
    return [scaling(Math.sqrt(4 / kept / stretched), 4)];
  }
  const first = blended[0], last = blended.at(-1)!;
  const found = [scaling((3 * share(first) + 1) / turns[first], 4)];
  if (first === last) return found;
  // Two points of a line with slope original / (high − 1) that is 0 at turns = 1 / original.
  const slope = (share(first) - share(last)) / (turns[first] - turns[last]);
  const original = 1 / (turns[last] - share(last) / slope);
  return [...found, scaling(original, Number((1 + original / slope).toPrecision(4)))];
}

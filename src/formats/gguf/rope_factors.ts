/**
 * Llama 3.1's RoPE scaling as llama.cpp stores it: not its parameters, but the divisor of each
 * frequency (`rope_freqs.weight`). The parameters are recovered here, so that a model read from
 * GGUF can be saved in Hugging Face's layout.
 */
import { type LlamaConfig, type RopeScaling } from "../../model/config.ts";
import { ropeFrequencies } from "../../model/rope.ts";
import { UserError } from "../../options/user_error.ts";

type Llama3 = Extract<RopeScaling, { type: "llama3" }>;

/** Tolerance of factors: they are float32, and the original length is rounded. */
const TOLERANCE = 1e-4;

/** (D/2): divisors of the unscaled frequencies. */
export function ropeFactors(config: LlamaConfig): Float64Array {
  const scaled = ropeFrequencies(config);
  const { ropeScaling: _, ...unscaled } = config;
  return ropeFrequencies(unscaled).map((frequency, i) => frequency / scaled[i]);
}

/**
 * The scaling whose factors these are; undefined if they are all 1. Throws a {@link UserError} that
 * names `origin` if they are not of Llama 3.1's kind (as LongRoPE's).
 */
export function scalingFromFactors(
  config: LlamaConfig,
  factors: ArrayLike<number>,
  origin: string,
): RopeScaling | undefined {
  const values = Array.from(factors);
  if (values.every((factor) => Math.abs(factor - 1) < TOLERANCE)) return undefined;
  const scaling = values.length === config.headSize / 2 && candidates(config, values).find(
    (scaling) =>
      ropeFactors({ ...config, ropeScaling: scaling })
        .every((factor, i) => Math.abs(factor / values[i] - 1) < TOLERANCE),
  );
  if (scaling) return scaling;
  throw new UserError(
    `${origin}: rope_freqs.weight is not Llama 3.1's scaling of RoPE, the only one supported`,
  );
}

/**
 * Between unscaled frequencies and those divided by the factor, the unscaled share s grows with the
 * frequency f: s = (f · original / 2π − low) / (high − low). Only original / low and high / low can
 * be determined from it, so low is assumed to be 1, as in every published model.
 */
function candidates(config: LlamaConfig, factors: readonly number[]): Llama3[] {
  const { ropeScaling: _, ...unscaled } = config;
  const turns = ropeFrequencies(unscaled).map((frequency) => frequency / (2 * Math.PI));
  const factor = Number(Math.max(...factors).toPrecision(6));
  const share = (i: number) => (1 / factors[i] - 1 / factor) / (1 - 1 / factor);
  const blended = factors.map((_, i) => i).filter((i) => share(i) > 1e-3 && share(i) < 1 - 1e-3);
  const scaling = (original: number, highFreqFactor: number): Llama3 => ({
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

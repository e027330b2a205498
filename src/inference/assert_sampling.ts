/** Refuses settings of a generation that mean nothing; front ends have them checked already. */
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import type { SamplingOptions } from "./sampling.ts";

const isCount = (value: number) => Number.isInteger(value) && value >= 0;
const isShare = (value: number) => value >= 0 && value <= 1;

/** As transformers' logits processors require. */
const RULES = {
  maxNewTokens: [isCount, "a whole number"],
  temperature: [(value: number) => value >= 0 && value < Infinity, "a number from 0 on"],
  topP: [isShare, "from 0 to 1"],
  topK: [isCount, "a whole number"],
  minP: [isShare, "from 0 to 1"],
  repetitionPenalty: [(value: number) => value > 0, "above 0"],
  noRepeatNgramSize: [isCount, "a whole number"],
  frequencyPenalty: [Number.isFinite, "a number"],
  presencePenalty: [Number.isFinite, "a number"],
} as const;

/** Throws a {@link UserError} for the first setting that is given and out of its range. */
export function assertSampling(
  given: Partial<SamplingOptions> & { readonly maxNewTokens?: number },
): void {
  for (const [name, [holds, right]] of Object.entries(RULES)) {
    const value: unknown = given[name as keyof typeof RULES];
    if (value === undefined || (typeof value === "number" && holds(value))) continue;
    throw new UserError(phrase`${option(name)}: must be ${right}, got ${String(value)}`);
  }
  for (const [id, bias] of Object.entries(given.logitBias ?? {})) {
    if (/^\d+$/.test(id) && Number.isFinite(bias)) continue;
    throw new UserError(
      phrase`${option("logitBias")}: must be numbers by token id, got ${String(bias)} for ${id}`,
    );
  }
}

/** How much of a model's positions a prompt and its answer take. */
import { UserError } from "../options/user_error.ts";
import type { LlamaConfig } from "../model/config.ts";
import { longestSequence } from "../model/rope_scaling.ts";

/** A prompt, or a prompt and the answer asked for, that the model has too few positions for. */
export class ContextLengthError extends UserError {
  constructor(
    message: string,
    hint: string,
    /** Positions of the model. */
    readonly positions: number,
    readonly promptTokens: number,
    /** Tokens of the answer; undefined if the prompt alone is too long. */
    readonly answerTokens?: number,
  ) {
    super(message, hint);
  }
}

export interface AskedLength {
  /** The prompt, for the message: "the dialogue". */
  readonly what: string;
  readonly promptTokens: number;
  /** Most tokens of the answer. */
  readonly wanted: number;
  /** Whether an answer of that length must be possible. */
  readonly mustFit?: boolean;
}

/**
 * How many tokens may be added to a prompt: the requested number, limited by the model's positions.
 * Throws a {@link ContextLengthError} if none is left, or with `mustFit` fewer than requested.
 */
export function tokenLimit(
  { config }: { readonly config: Pick<LlamaConfig, "maxPositions" | "ropeScaling"> },
  { what, promptTokens, wanted, mustFit = false }: AskedLength,
): number {
  const positions = longestSequence(config), left = positions - promptTokens;
  if (left <= 0) {
    throw new ContextLengthError(
      `${what} has ${promptTokens} tokens and leaves no room for an answer in the model's ` +
        `${positions} positions`,
      "start a new one, or shorten it",
      positions,
      promptTokens,
    );
  }
  if (mustFit && wanted > left) {
    throw new ContextLengthError(
      `${what} has ${promptTokens} tokens and leaves room for ${left} in the model's ` +
        `${positions} positions, but ${wanted} are requested`,
      "request fewer, or shorten it",
      positions,
      promptTokens,
      wanted,
    );
  }
  return Math.min(wanted, left);
}

/** What is added to logits before a token is chosen, as OpenAI's API defines it. */
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";

/** A row of logits (V). */
export type Logits = Float32Array | Float64Array;

/** Biases of tokens, by id or by what was generated. */
export interface LogitBiases {
  /** Added to the logits of these ids. */
  readonly logitBias?: Readonly<Record<number, number>>;
  /** Subtracted from the logit of a generated token, once for each time that it was generated. */
  readonly frequencyPenalty?: number;
  /** Subtracted once, however often it was. */
  readonly presencePenalty?: number;
}

/** Those among other options. */
export function biasesIn(
  { logitBias, frequencyPenalty, presencePenalty }: LogitBiases,
): LogitBiases {
  return {
    ...(logitBias && { logitBias }),
    ...(frequencyPenalty && { frequencyPenalty }),
    ...(presencePenalty && { presencePenalty }),
  };
}

/** Throws a {@link UserError} for an id that the logits do not have. */
export function addLogitBias(logits: Logits, { logitBias = {} }: LogitBiases): void {
  for (const [id, bias] of Object.entries(logitBias)) {
    if (!(Number(id) < logits.length)) {
      throw new UserError(
        phrase`${option("logitBias")}: token ${id} is outside the vocabulary of ${logits.length}`,
      );
    }
    logits[Number(id)] += bias;
  }
}

/** logit[j] −= c[j]·frequencyPenalty + (c[j] > 0)·presencePenalty, c[j] the times in `generated`. */
export function penaliseGenerated(
  logits: Logits,
  generated: readonly number[],
  { frequencyPenalty = 0, presencePenalty = 0 }: LogitBiases,
): void {
  if (frequencyPenalty === 0 && presencePenalty === 0) return;
  for (const id of generated) logits[id] -= frequencyPenalty;
  for (const id of new Set(generated)) logits[id] -= presencePenalty;
}

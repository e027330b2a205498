/** What is added to logits before a token is chosen, as OpenAI's API defines it. */
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";

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

/** What is added to each logit (V). Throws a {@link UserError} for an id that is none of them. */
export function biasVector(
  { logitBias = {} }: LogitBiases,
  vocabSize: number,
): Float32Array<ArrayBuffer> {
  const biases = new Float32Array(vocabSize);
  for (const [id, bias] of Object.entries(logitBias)) {
    if (!(Number(id) < vocabSize)) {
      throw new UserError(
        phrase`${option("logitBias")}: token ${id} is outside the vocabulary of ${vocabSize}`,
      );
    }
    biases[Number(id)] = bias;
  }
  return biases;
}

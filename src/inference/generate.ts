/** Autoregressive decoding. */
import { UserError } from "../gpu/errors.ts";
import { type DecodedModel, Decoder } from "./decoder.ts";
import { penalise, randomStream, sampleToken, type SamplingOptions } from "./sampling.ts";

export interface GenerateOptions extends SamplingOptions {
  readonly maxNewTokens: number;
  /** Ids that end the text; they are not yielded. */
  readonly stopTokens?: readonly number[];
  readonly seed?: number;
  /** Stops between two tokens, or two chunks of the prompt: the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/** Yields token ids as they are drawn. The cache and the buffers are freed at the end. */
export async function* generate(
  model: DecodedModel,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<number> {
  const { maxNewTokens } = options, { maxPositions } = model.config;
  const positions = prompt.length + maxNewTokens;
  if (prompt.length === 0) {
    throw new UserError(
      "generate: the prompt has no token",
      "give a --prompt of one token or more",
    );
  }
  if (positions > maxPositions) {
    throw new UserError(
      `generate: ${prompt.length} prompt tokens and ${maxNewTokens} new ones exceed the model's ` +
        `${maxPositions} positions`,
      "shorten the prompt or lower --max-new-tokens",
    );
  }
  const decoder = new Decoder(model, { positions });
  try {
    yield* continueTokens(decoder, prompt, options);
  } finally {
    decoder.release();
  }
}

/** The same with a decoder, which may know the prompt's beginning, and goes on knowing the rest. */
export async function* continueTokens(
  decoder: Decoder,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<number> {
  const { maxNewTokens, stopTokens = [], seed = 0, repetitionPenalty = 1, signal } = options;
  const random = randomStream(seed);
  const tokens = Array.from(prompt);
  for (let made = 0; made < maxNewTokens; made++) {
    const logits = await decoder.logits(tokens, signal);
    penalise(logits, tokens, repetitionPenalty);
    const token = sampleToken(logits, options, random);
    if (stopTokens.includes(token)) return;
    yield token;
    tokens.push(token);
  }
}

/** Autoregressive decoding. */
import { UserError } from "../options/user_error.ts";
import { option, phrase } from "../options/phrase.ts";
import { longestSequence } from "../model/rope_scaling.ts";
import { assertSampling } from "./assert_sampling.ts";
import { CachedSequence } from "./cached_sequence.ts";
import { nextToken, randomStream, type SamplingOptions } from "./sampling.ts";
import type { RunnableModel } from "./runnable_model.ts";

/** Options of {@link LlamaForCausalLM.generate}. */
export interface GenerateOptions extends SamplingOptions {
  /** The most tokens to generate. */
  readonly maxNewTokens: number;
  /** Ids that end the text; they are not yielded. */
  readonly stopTokens?: readonly number[];
  /** Seed of the sampling; 0 by default. */
  readonly seed?: number;
  /** Stops between tokens or chunks of the prompt and throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Yields token ids as they are sampled. The cache and the buffers are freed at the end. */
export async function* generate(
  model: RunnableModel,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<number> {
  assertSampling(options);
  const { maxNewTokens } = options, longest = longestSequence(model.config);
  const positions = prompt.length + maxNewTokens;
  if (prompt.length === 0) {
    throw new UserError(
      "generate: the prompt is empty",
      phrase`${option("prompt")} must have at least one token`,
    );
  }
  if (positions > longest) {
    throw new UserError(
      `generate: ${prompt.length} prompt tokens and ${maxNewTokens} new ones exceed the model's ` +
        `${longest} positions`,
      phrase`shorten the prompt or lower ${option("maxNewTokens")}`,
    );
  }
  const sequence = new CachedSequence(model, { positions });
  try {
    yield* continueTokens(sequence, prompt, options);
  } finally {
    sequence.release();
  }
}

/**
 * The same in a given sequence, which may already hold a prefix of the prompt, and keeps the rest.
 */
export async function* continueTokens(
  sequence: CachedSequence,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<number> {
  const { maxNewTokens, stopTokens = [], seed = 0, signal } = options;
  const random = randomStream(seed);
  const tokens = Array.from(prompt), sampling = { ...options, promptTokens: prompt.length };
  for (let made = 0; made < maxNewTokens; made++) {
    const logits = await sequence.logits(tokens, signal);
    const token = nextToken(logits, tokens, sampling, random);
    if (stopTokens.includes(token)) return;
    yield token;
    tokens.push(token);
  }
}

/** Autoregressive decoding. */
import { UserError } from "../options/user_error.ts";
import { option, phrase } from "../options/phrase.ts";
import { longestSequence } from "../model/rope_scaling.ts";
import { assertSampling } from "./assert_sampling.ts";
import { CachedSequence, type ContinueOptions } from "./cached_sequence.ts";
import type { RunnableModel } from "./runnable_model.ts";

/** Options of {@link LlamaForCausalLM.generate}. */
export interface GenerateOptions extends ContinueOptions {
  /** Ids that end the text; they are not yielded. */
  readonly stopTokens?: readonly number[];
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
  const { stopTokens = [] } = options;
  for await (const token of sequence.decode(Array.from(prompt), options)) {
    if (stopTokens.includes(token)) return;
    yield token;
  }
}

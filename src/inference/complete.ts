/** Continues texts, without a template. */
import { assertKnownIds } from "../tokenizers/known_ids.ts";
import { encodePrompt } from "../tokenizers/text_ends.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { UserError } from "../options/user_error.ts";
import { type ChatModel, type ChatOptions, chatSampling, stopTokens } from "./chat.ts";
import { type Answer, Continuation, tokenLimit } from "./continuation.ts";
import { createSequence } from "./memory_limit.ts";

/** Sampling options default to the model's generation_config.json. */
export type CompleteOptions = Omit<ChatOptions, "system" | "template" | "tools">;

/**
 * Streams the continuation of a text, without special tokens; `ended` is called with the result,
 * however it ends. A BOS token that the text begins with is not added again. Throws a {@link UserError} if the text fills the model's positions.
 */
export async function* complete(
  model: ChatModel,
  tokenizer: Tokenizer,
  text: string,
  options: CompleteOptions = {},
  ended?: (answer: Answer) => void,
): AsyncGenerator<string> {
  const { ids: prompt } = encodePrompt(tokenizer, text);
  assertKnownIds("the prompt", prompt, model.config.vocabSize, tokenizer);
  if (prompt.length === 0) {
    throw new UserError(
      "the prompt is empty, and this model has no BOS token to start from",
    );
  }
  const limit = tokenLimit(model, "the prompt", prompt.length, options.maxNewTokens ?? 512);
  const sequence = createSequence(model, prompt.length + limit);
  const answer = new Continuation(sequence, tokenizer, prompt, {
    ...chatSampling(options, model.generation),
    maxNewTokens: limit,
    stopTokens: stopTokens(model, tokenizer),
    stopTexts: options.stop,
    seed: options.seed,
    signal: options.signal,
  });
  try {
    yield* answer.pieces();
  } finally {
    sequence.release();
    ended?.(answer);
  }
}

/** Continues texts, without a template. */
import { assertKnownIds } from "../tokenizers/known_ids.ts";
import { encodeStart } from "../tokenizers/text_ends.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { assertSampling } from "./assert_sampling.ts";
import { type ChatModel, type ChatOptions, stopTokens } from "./chat.ts";
import { tokenLimit } from "./context_length.ts";
import { type Answer, Continuation } from "./continuation.ts";
import { samplingFor } from "./default_sampling.ts";
import { createSequence } from "./memory_limit.ts";

/** Sampling options default to the model's generation_config.json. */
export type CompleteOptions = Omit<ChatOptions, "system" | "template" | "tools">;

/**
 * Streams the continuation of a text, without special tokens; `ended` is called with the result,
 * however it ends. A BOS token that the text begins with is not added again; an empty text is begun.
 * Throws a {@link UserError} if the text fills the model's positions, or an option is out of its
 * range.
 */
export async function* complete(
  model: ChatModel,
  tokenizer: Tokenizer,
  text: string,
  options: CompleteOptions = {},
  ended?: (answer: Answer) => void,
): AsyncGenerator<string> {
  assertSampling(options);
  const { ids: prompt } = encodeStart(tokenizer, text);
  assertKnownIds("the prompt", prompt, model.config.vocabSize, tokenizer);
  const wanted = options.maxNewTokens ?? model.generation.maxNewTokens ?? 512;
  const limit = tokenLimit(model, {
    what: "the prompt",
    promptTokens: prompt.length,
    wanted,
    mustFit: options.mustFit,
  });
  const sequence = createSequence(model, prompt.length + limit);
  const answer = new Continuation(sequence, tokenizer, prompt, {
    ...samplingFor(options, model.generation),
    maxNewTokens: limit,
    stopTokens: stopTokens(model, tokenizer),
    stopTexts: options.stop,
    seed: options.seed,
    signal: options.signal,
    onCompile: options.onCompile,
  });
  try {
    yield* answer.pieces();
  } finally {
    sequence.release();
    ended?.(answer);
  }
}

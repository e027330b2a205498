/** Encodes texts to be scored. */
import { encodePrompt } from "../tokenizers/text_ends.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { UserError } from "../options/user_error.ts";
import type { LogLikelihood, LogLikelihoodRequest } from "../inference/log_likelihood.ts";
import { quoted } from "../text.ts";

/** Log-likelihoods of requests: a model's `logLikelihoods` with its other options bound. */
export type Scorer = (
  requests: readonly LogLikelihoodRequest[],
  onProgress?: (done: number, total: number) => void,
) => Promise<LogLikelihood[]>;

/**
 * A context with each of its continuations, split as in lm-evaluation-harness' `_encode_pair`: the
 * whole text is encoded, and the tokens beyond the number in the context alone are the
 * continuation. So no token is split that the model would see as one; trailing spaces of the
 * context belong to the continuation, because most tokenizers join them to the next word.
 */
export function encodePairs(
  tokenizer: Tokenizer,
  context: string,
  continuations: readonly string[],
): LogLikelihoodRequest[] {
  const prefix = tokenizer.bosTokenId ?? tokenizer.eosTokenId;
  if (context === "") return continuations.map((text) => afterPrefix(tokenizer, prefix, text));
  const head = context.trimEnd(), blanks = context.slice(head.length);
  const encode = (text: string) => encodePrompt(tokenizer, text).ids;
  const start = encode(head);
  return continuations.map((text) => {
    const continuation = encode(head + blanks + text).slice(start.length);
    return { context: start, continuation: required(continuation, text) };
  });
}

/** An empty context becomes one BOS (or else EOS) token, never two. */
function afterPrefix(
  tokenizer: Tokenizer,
  prefix: number | null,
  text: string,
): LogLikelihoodRequest {
  if (prefix === null) {
    throw new UserError(
      "evaluation: the context is empty, and the tokenizer has neither a BOS nor an EOS token",
    );
  }
  const ids = required(tokenizer.encode(text, { addSpecialTokens: false }), text);
  return ids[0] === prefix && ids.length > 1
    ? { context: ids.slice(0, 1), continuation: ids.slice(1) }
    : { context: [prefix], continuation: ids };
}

function required(ids: number[], text: string): number[] {
  if (ids.length) return ids;
  throw new UserError(
    `evaluation: the answer ${quoted(text)} has no token of its own`,
    "the tokenizer merges all of it into the end of the question",
  );
}

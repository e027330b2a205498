/** Refuses token ids that a model has no row for: vocabularies of tokenizers may be larger. */
import { UserError } from "../options/user_error.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { quoted } from "../text.ts";

/** Throws a {@link UserError} that names the first id of `vocabSize` or more, and its text. */
export function assertKnownIds(
  where: string,
  ids: ArrayLike<number>,
  vocabSize: number,
  tokenizer: Pick<Tokenizer, "vocabSize" | "decode">,
): void {
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] < vocabSize) continue;
    throw new UserError(
      `${where}: token ${ids[i]} (${quoted(tokenizer.decode([ids[i]]))}) is outside the ` +
        `model's vocabulary of ${vocabSize}`,
      `the tokenizer has ${tokenizer.vocabSize} tokens: is it this model's?`,
    );
  }
}

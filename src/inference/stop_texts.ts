/** Texts that end an answer, of which some are tokens that a decoded text does not show. */
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

export interface Stops {
  /** Compared with the decoded text. */
  readonly texts: readonly string[];
  /** End the answer by themselves. */
  readonly tokens: readonly number[];
}

/**
 * A special token is left out of decoded text, so a stop text that contains one, such as
 * `<|im_end|>`, would never be found there: the answer ends at the first such token instead.
 */
export function readStops(stops: readonly string[], tokenizer: Tokenizer): Stops {
  const texts: string[] = [], tokens: number[] = [];
  for (const stop of stops) {
    const hidden = tokenizer.encode(stop, { addSpecialTokens: false }).find((id) =>
      tokenizer.decode([id], { skipSpecialTokens: true }) === "" && tokenizer.decode([id]) !== ""
    );
    if (hidden === undefined) texts.push(stop);
    else tokens.push(hidden);
  }
  return { texts, tokens };
}

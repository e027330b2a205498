/** From spans of characters to the tokens of a text that was encoded as a whole. */
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { Span } from "./chat_template.ts";

/**
 * A one for each token that has a character of a span, as transformers' `assistant_masks`. A token
 * across a border counts: what it says inside the span can be learned in no other way.
 *
 * Tokenizers of this format give no offsets, so that borders are found by encoding what lies
 * before them: where that gives the first tokens of the whole, a token ends at the border. Chat
 * templates put special tokens or line ends there, at which every tokenizer splits. Where it does
 * not (a prompt that ends within a word), the nearest border outside the span is taken.
 */
export function tokensIn(
  tokenizer: Tokenizer,
  text: string,
  ids: readonly number[],
  spans: readonly Span[],
): Uint8Array<ArrayBuffer> {
  const mask = new Uint8Array(ids.length);
  for (const [start, end] of spans) {
    if (start === end) continue;
    const first = tokensBefore(tokenizer, text, ids, start, -1);
    mask.fill(1, first, tokensBefore(tokenizer, text, ids, end, 1));
  }
  return mask;
}

/** How many tokens lie before a character, or before the nearest border in that direction. */
function tokensBefore(
  tokenizer: Tokenizer,
  text: string,
  ids: readonly number[],
  at: number,
  direction: 1 | -1,
): number {
  let border = at;
  for (; border > 0 && border < text.length; border += direction) {
    if (isInsideCharacter(text, border)) continue;
    const before = tokenizer.encode(text.slice(0, border), { addSpecialTokens: false });
    if (before.length <= ids.length && before.every((id, index) => id === ids[index])) {
      return before.length;
    }
  }
  return border <= 0 ? 0 : ids.length;
}

/** Between the halves of a surrogate pair. */
function isInsideCharacter(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xdc00;
}

/** Maps spans of characters to the tokens of a text encoded as a whole. */
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { Span } from "./chat_template.ts";

/**
 * 1 for each token with a character in a span, like transformers' `assistant_masks`. A token across
 * a border counts: its part inside the span cannot be learned otherwise.
 *
 * Tokenizers of this format return no offsets, so borders are found by encoding the text before
 * them: if that gives the first tokens of the whole, a token ends at the border. Chat templates put
 * special tokens or newlines there, at which every tokenizer splits. Otherwise (a prompt that ends
 * within a word) the nearest border outside the span is used.
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

/** The number of tokens before a character, or before the nearest border in that direction. */
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

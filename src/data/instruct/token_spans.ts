/** Maps spans of characters to the tokens of a text encoded as a whole. */
import type { Encoding } from "../../tokenizers/tokenizer.ts";
import type { Span } from "./chat_template.ts";

/**
 * 1 for each token with a character in one of the spans, which are in order: transformers'
 * `assistant_masks`, but with all bytes of a span's last character. A token across a border counts:
 * its part inside the span cannot be learned otherwise.
 */
export function tokensIn(
  { ids, starts, ends }: Encoding,
  spans: readonly Span[],
): Uint8Array<ArrayBuffer> {
  const mask = new Uint8Array(ids.length), filled = spans.filter(([start, end]) => start < end);
  let next = 0;
  for (let token = 0; token < ids.length; token++) {
    while (next < filled.length && filled[next][1] <= starts[token]) next++;
    if (next === filled.length) break;
    if (filled[next][0] < ends[token]) mask[token] = 1;
  }
  return mask;
}

/** Streams text that a model generates: an answer in a chat, or the continuation of a text. */
import { parseError, send } from "./api.js";
import { readEvents } from "./event_source.js";

/** @typedef {{ finish?: string, tokens?: number }} End */

/**
 * @param {"/v1/chat/completions" | "/v1/completions"} path
 * @param {Record<string, unknown>} body
 * @param {AbortSignal} signal
 * @param {(text: string) => void} onText called with all text so far, at most once per frame, for
 *   several tokens may arrive in one; and at the end, also of a stream that fails
 * @returns {Promise<End>}
 */
export async function streamText(path, body, signal, onText) {
  const response = await send(path, {
    method: "POST",
    json: { ...body, stream: true, stream_options: { include_usage: true } },
    signal,
  });
  /** @type {End} */
  const end = {};
  /** @type {Error | undefined} */
  let fault;
  let done = false;
  let text = "";
  let due = false;
  const show = () => {
    if (due) onText(text);
    due = false;
  };
  try {
    await readEvents(response, ({ data }) => {
      if (data === "[DONE]") return void (done = true);
      const chunk = JSON.parse(data);
      if (chunk.error) return void (fault = parseError(500, data));
      const [choice] = chunk.choices ?? [];
      const piece = choice?.delta?.content ?? choice?.text;
      if (piece) {
        text += piece;
        if (!due) requestAnimationFrame(show);
        due = true;
      }
      if (choice?.finish_reason) end.finish = choice.finish_reason;
      if (chunk.usage) end.tokens = chunk.usage.completion_tokens;
    });
  } finally {
    // A hidden tab has no frames.
    show();
  }
  if (fault) throw fault;
  if (!done && !end.finish) throw new Error("The answer ended early: the server may have stopped.");
  return end;
}

/** `128 tokens · 41.2 tok/s`. @param {End} end @param {number} seconds */
export function endText({ tokens, finish }, seconds) {
  return [
    tokens === undefined ? "" : `${tokens} tokens`,
    tokens ? `${(tokens / seconds).toFixed(1)} tok/s` : "",
    finish === "length" ? "truncated at maximum tokens" : "",
  ].filter(Boolean).join(" · ");
}

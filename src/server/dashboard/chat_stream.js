/** Streams one answer of a model. */
import { parseError, send } from "./api.js";
import { readEvents } from "./event_source.js";

/**
 * @param {Record<string, unknown>} body
 * @param {AbortSignal} signal
 * @param {(text: string) => void} onText
 * @returns {Promise<{ finish?: string, tokens?: number }>}
 */
export async function streamAnswer(body, signal, onText) {
  const response = await send("/v1/chat/completions", {
    method: "POST",
    json: { ...body, stream: true, stream_options: { include_usage: true } },
    signal,
  });
  /** @type {{ finish?: string, tokens?: number }} */
  const end = {};
  /** @type {Error | undefined} */
  let fault;
  let done = false;
  await readEvents(response, ({ data }) => {
    if (data === "[DONE]") return void (done = true);
    const chunk = JSON.parse(data);
    if (chunk.error) return void (fault = parseError(500, data));
    const [choice] = chunk.choices ?? [];
    if (choice?.delta?.content) onText(choice.delta.content);
    if (choice?.finish_reason) end.finish = choice.finish_reason;
    if (chunk.usage) end.tokens = chunk.usage.completion_tokens;
  });
  if (fault) throw fault;
  if (!done && !end.finish) throw new Error("The answer ended early.");
  return end;
}

/**
 * Server-sent events through `fetch`, which can send a key, unlike the browser's EventSource. A
 * lost connection resumes where it broke off.
 */
import { authorization, parseError, renewKey, urlOf } from "./api.js";
import { noteDate } from "./clock.js";
import { createParser } from "./eventsource_parser.js";

const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
/** Heartbeats come more often than this; without one the connection is dead. */
const SILENCE = 45_000;

/**
 * Reads the events of one response to its end.
 *
 * @param {Response} response
 * @param {(event: { id?: string, event?: string, data: string }) => void} onEvent
 * @param {() => void} [onBytes] for each piece that arrives, comments included
 */
export async function readEvents(response, onEvent, onBytes) {
  const parser = createParser({ onEvent });
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes?.();
    parser.feed(decoder.decode(value, { stream: true }));
  }
}

/**
 * Keeps a stream open until the signal aborts or the server answers that nothing follows (204).
 *
 * @param {string} path
 * @param {object} handlers
 * @param {AbortSignal} handlers.signal
 * @param {(resumed: boolean) => void} handlers.onOpen
 * @param {(event: { id?: string, event?: string, data: string }) => void} handlers.onEvent
 * @param {(loss: { message: string, retryAt: number, ended: boolean }) => void} handlers.onLost
 */
export async function follow(path, { signal, onOpen, onEvent, onLost }) {
  /** @type {string | undefined} */
  let lastId;
  let delay = FIRST_DELAY;
  while (!signal.aborted) {
    let message = "Connection lost.";
    let ended = false;
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    signal.addEventListener("abort", abort);
    let watchdog = setTimeout(abort, SILENCE);
    const resetWatchdog = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(abort, SILENCE);
    };
    try {
      const headers = { Accept: "text/event-stream", ...authorization() };
      if (lastId !== undefined) Object.assign(headers, { "Last-Event-ID": lastId });
      const response = await fetch(urlOf(path), {
        headers,
        signal: attempt.signal,
        cache: "no-store",
      });
      if (response.status === 401) {
        await renewKey();
        continue;
      }
      noteDate(response.headers.get("date"));
      // No content: the stream has ended for good, and so it would after another request.
      if (response.status === 204) return;
      if (!response.ok) throw parseError(response.status, await response.text());
      onOpen(lastId !== undefined);
      delay = FIRST_DELAY;
      await readEvents(response, (event) => {
        if (event.id !== undefined) lastId = event.id;
        onEvent(event);
      }, resetWatchdog);
      message = "The server stopped.";
      ended = true;
    } catch (error) {
      if (signal.aborted) return;
      const { name, message: reason } = /** @type {Error} */ (error);
      if (name === "RequestError") message = reason;
    } finally {
      clearTimeout(watchdog);
      signal.removeEventListener("abort", abort);
    }
    // Jitter, so that many pages do not reconnect at the same moment.
    const wait = delay * (0.75 + Math.random() / 2);
    delay = Math.min(LONGEST_DELAY, delay * 2);
    onLost({ message, retryAt: performance.now() + wait, ended });
    await pause(wait, signal);
  }
}

/** Ends a pause early when the network is back or the user presses "Retry now". */
const retries = new EventTarget();
export function retryNow() {
  retries.dispatchEvent(new Event("retry"));
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      retries.removeEventListener("retry", end);
      globalThis.removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    retries.addEventListener("retry", end);
    globalThis.addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
}

/** The single stream of all events, delivered once per frame. */
import { follow } from "./event_source.js";

/** @typedef {import("./jobs.js").JobEvent} JobEvent */

/** @type {Set<(events: JobEvent[]) => void>} */
const listeners = new Set();
/** @type {JobEvent[]} */
let waiting = [];
let scheduled = false;

/**
 * State of the connection.
 * @typedef {object} Connection
 * @property {"connecting" | "live" | "lost"} state
 * @property {string} [message]
 * @property {number} [retryAt] as performance.now() counts
 */
/** @type {Connection} */
export let connection = { state: "connecting" };
const connectionChanges = new EventTarget();

/** @param {(events: JobEvent[]) => void} listener @returns {() => void} ends it */
export function onEvents(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** @param {() => void} listener @returns {() => void} ends it */
export function onConnectionChanged(listener) {
  connectionChanges.addEventListener("change", listener);
  return () => connectionChanges.removeEventListener("change", listener);
}

/** @param {Connection} next */
function setConnection(next) {
  connection = next;
  connectionChanges.dispatchEvent(new Event("change"));
}

/**
 * @param {object} handlers
 * @param {AbortSignal} handlers.signal
 * @param {(resumed: boolean) => void} handlers.onOpen
 */
export function goLive({ signal, onOpen }) {
  return follow("/metrics/stream", {
    signal,
    onOpen(resumed) {
      setConnection({ state: "live" });
      onOpen(resumed);
    },
    onEvent({ id, data }) {
      const event = parse(data);
      if (!event?.job_id) return;
      waiting.push({ ...event, id: event.id ?? id });
      schedule();
    },
    onLost: ({ message, retryAt }) => setConnection({ state: "lost", message, retryAt }),
  });
}

/** A background tab has no frames; its events are delivered once per second. */
function schedule() {
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(deliver, 1000);
  else requestAnimationFrame(deliver);
}

function deliver() {
  scheduled = false;
  const events = waiting;
  waiting = [];
  for (const listener of listeners) listener(events);
}

// Frames requested before the tab was hidden do not run until it is visible again.
document.addEventListener("visibilitychange", () => {
  if (waiting.length) deliver();
});

/** @param {string} data */
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

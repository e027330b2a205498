/** What of a run's progress is sent to the server: each phase as it begins, and few figures of it. */
import type { OnProgress, ProgressEvent } from "../../train/events.ts";

/** A reader that shows them has no use for more. */
const INTERVAL_MS = 500;

/** Of the reports in between only the next one after the interval is passed on. */
export function fewReports(send: OnProgress, intervalMs: number = INTERVAL_MS): OnProgress {
  let phase: ProgressEvent["phase"] | undefined, sent = -Infinity;
  return (event) => {
    const now = performance.now();
    if (event.phase === phase && now - sent < intervalMs) return;
    [phase, sent] = [event.phase, now];
    send(event);
  };
}

/** Limits how often a run's progress is passed on to another program. */
import type { PreparationEvent, ProgressEvent } from "./events.ts";

/** Milliseconds between figures of a phase: nobody who watches them has a use for more. */
const INTERVAL_MS = 500;

type Report = PreparationEvent | ProgressEvent;

const phaseOf = (report: Report) => report.type === "progress" ? report.phase : report.what;

/**
 * Passes on the first report of each phase, and later ones at intervals.
 *
 * @param now a monotonic clock, in milliseconds
 */
export function fewReports(
  send: (report: Report) => void,
  now: () => number = () => performance.now(),
): (report: Report) => void {
  let phase: string | undefined, sent = -Infinity;
  return (report) => {
    if (phaseOf(report) === phase && now() - sent < INTERVAL_MS) return;
    [phase, sent] = [phaseOf(report), now()];
    send(report);
  };
}

/** What of a run's progress is sent to the server: each phase as it begins, and few figures of it. */
import type { PreparationEvent, ProgressEvent } from "../../train/events.ts";

/** A reader that shows them has no use for more. */
const INTERVAL_MS = 500;

type Report = PreparationEvent | ProgressEvent;

const phaseOf = (report: Report) => report.type === "progress" ? report.phase : report.what;

/** Of the reports in between only the next one after the interval is passed on. */
export function fewReports(
  send: (report: Report) => void,
  intervalMs: number = INTERVAL_MS,
): (report: Report) => void {
  let phase: string | undefined, sent = -Infinity;
  return (report) => {
    const now = performance.now();
    if (phaseOf(report) === phase && now - sent < intervalMs) return;
    [phase, sent] = [phaseOf(report), now];
    send(report);
  };
}

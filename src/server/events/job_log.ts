/** What happens to jobs, in the server's log: for whoever reads that instead of the API. */
import type { ServerLog } from "../server_log.ts";
import type { EventLog } from "../services.ts";

/** Logs changes of status, and whatever is not merely informative. Returns what ends it. */
export function logJobs(events: Pick<EventLog, "subscribe">, log: ServerLog): () => void {
  return events.subscribe(({ jobId, level, message, data }) => {
    if (data.kind === "status" || level !== "info") log.entry(level, message, { job_id: jobId });
  });
}

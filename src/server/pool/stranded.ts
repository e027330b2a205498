/** Jobs that nobody is there to run: each is told of once, as a warning of the job. */
import { warning } from "../jobs/job_events.ts";
import type { EventLog } from "../services.ts";
import { type JobRecord, ranksOf } from "../store/records.ts";

export class Stranded {
  readonly #told = new Set<string>();

  constructor(
    readonly log: Pick<EventLog, "append">,
    readonly isOwn: (job: JobRecord) => boolean,
  ) {}

  /** `most` is the most processes of a job that a machine elsewhere can run. Throws what the disk does. */
  look(waiting: readonly JobRecord[], most: number): void {
    for (const job of waiting) {
      const { id } = job, ranks = ranksOf(job);
      if (ranks <= most || this.#told.has(id) || this.isOwn(job)) continue;
      this.log.append(id, warning(whyNobody(ranks, most)));
      this.#told.add(id);
    }
  }

  /** It does not wait any more. */
  forget(id: string): void {
    this.#told.delete(id);
  }
}

function whyNobody(ranks: number, most: number): string {
  const why = most === 0
    ? "no worker has been heard from for a minute"
    : `no machine can start more than ${most} ${most === 1 ? "process" : "processes"} of a job`;
  const what = ranks === 1 ? "a worker" : `a machine with ${ranks} workers and an MPI launcher`;
  return `Nobody can run the job: ${why}. It waits for ${what}`;
}

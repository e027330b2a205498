/** Changes of a job's status, each with the event that reports it. */
import type { EventLevel, JobRecord, JobStatus, NewEvent } from "../store/records.ts";
import type { JobPatch } from "../store/jobs.ts";
import { diskFault } from "../../files/disk_error.ts";
import { message } from "./job_events.ts";
import type { QueueParts } from "./queue_parts.ts";

export interface Transition {
  readonly status: JobStatus;
  /** Changes that come with it, {@link OF_A_STATUS} included. */
  readonly patch?: JobPatch;
  /** Of the event. */
  readonly text: string;
  readonly level?: EventLevel;
  /** Writes what belongs to it, all or nothing. */
  readonly also?: () => void;
}

/** Fields that say something of one status only: the next one has them if its transition sets them. */
const OF_A_STATUS = {
  reason: null,
  reasonCode: null,
  error: null,
  finishedAt: null,
  estimatedFinish: null,
  runsOn: null,
} as const;

export class Transitions {
  constructor(readonly parts: Pick<QueueParts, "store" | "log" | "serverLog">) {}

  /**
   * Makes a change that someone asks for. Readers see status and event together. Throws, and changes
   * nothing, if the disk cannot take it.
   */
  make(job: JobRecord, transition: Transition): JobRecord {
    // What has happened to the job before comes first.
    this.parts.store.held.flush(job.id);
    return this.#write(job, transition);
  }

  /**
   * Records what has happened. It has, even if the disk cannot take it: readers then see it all the
   * same, and it is written later. Never throws.
   */
  record(job: JobRecord, transition: Transition): void {
    const { store, serverLog } = this.parts;
    try {
      this.make(job, transition);
    } catch (error) {
      const { text } = transition, about = { job_id: job.id };
      if (diskFault(error)) serverLog.error(`${text} (not on the disk yet)`, about);
      else serverLog.fault(error, about);
      store.jobs.hold(job.id, patchOf(transition), () => void this.#write(job, transition));
    }
  }

  #write(job: JobRecord, transition: Transition): JobRecord {
    const { store, log } = this.parts, { status, text, level = "info", also } = transition;
    const event: NewEvent = { ...message(text, { kind: "status", status }), level };
    return store.transaction(() => {
      also?.();
      const updated = store.jobs.update(job.id, patchOf(transition));
      log.append(job.id, event);
      return updated;
    });
  }
}

const patchOf = ({ patch, status }: Transition): JobPatch => ({ ...OF_A_STATUS, ...patch, status });

/** What becomes of a job: how the end of a run, or a client's wish, is recorded. */
import type { Explanation } from "../../options/user_error.ts";
import { resultModelName } from "../protocol/job.ts";
import type { JobRecord } from "../store/records.ts";
import { unixSeconds } from "../store/unix_seconds.ts";
import type { Hindered } from "./hindrance.ts";
import { message } from "./job_events.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import type { QueueParts } from "./queue_parts.ts";
import { writeResultsFile } from "./results_file.ts";
import type { Loss } from "./training_process.ts";
import type { Transitions } from "./transitions.ts";
import { inClientTerms, title } from "./wording.ts";

/** Consecutive crashes, and losses by workers, that end a job without a new checkpoint. */
const FRUITLESS_ENDS = 3;

export class Conclusions {
  /** Crashes and losses of jobs since their last checkpoint, and that checkpoint's step. */
  readonly #ends = new Map<string, { readonly step: number; readonly count: number }>();

  constructor(readonly parts: QueueParts, readonly status: Transitions) {}

  /** A job that crashes while the server is stopping is the next server's to continue. */
  async conclude(job: JobRecord, outcome: Outcome, stopping: boolean): Promise<void> {
    if (!["crashed", "lost"].includes(outcome.type)) this.forgetEnds(job.id);
    switch (outcome.type) {
      case "succeeded":
        return await this.#succeed(job, outcome.summary.tokens);
      case "stopped":
        if (outcome.intent === "cancel") this.cancelled(job);
        else if (outcome.intent === "pause") this.paused(job);
        // At a shutdown the status stays "running" for the next start.
        return;
      case "hindered":
        return this.#hindered(job, outcome);
      case "failed":
        return this.#fail(job, outcome);
      case "lost":
        return this.#lost(job, outcome);
      case "crashed":
        return this.#crashed(job, outcome, stopping);
    }
  }

  async #succeed(job: JobRecord, trainedTokens: number): Promise<void> {
    const { store, storage, log } = this.parts;
    const results = await writeResultsFile(job, this.parts);
    const resultModel = resultModelName(job);
    try {
      this.status.make(job, {
        status: "succeeded",
        patch: {
          trainedTokens,
          resultModel,
          resultFiles: [results.id],
          finishedAt: unixSeconds(),
        },
        text: "The job has successfully completed",
        also: () => {
          store.files.insert(results);
          log.append(job.id, message(`New model created: ${resultModel}`));
        },
      });
    } catch (error) {
      await Deno.remove(storage.filePath(results)).catch(() => {}); // report the cause
      throw error;
    }
  }

  /** Crashes and losses so far do not count against a job that someone resumes. */
  forgetEnds(jobId: string): void {
    this.#ends.delete(jobId);
  }

  /** Pauses a job that something around it keeps from running; any other error fails it. */
  thrown(job: JobRecord, error: unknown): void {
    const outcome = outcomeOf(error, job.id, this.parts.serverLog);
    if (outcome.type === "hindered") this.#hindered(job, outcome);
    else this.#fail(job, outcome);
  }

  #hindered(job: JobRecord, { code: reasonCode, reason: message }: Hindered): void {
    const reason = inClientTerms({ message }, job, this.parts);
    this.status.record(job, {
      status: "paused",
      patch: { reason, reasonCode },
      text: `${title(job)} job paused: ${reason}`,
      level: "error",
    });
  }

  paused(job: JobRecord): void {
    const text = `${title(job)} job paused`;
    this.status.record(job, { status: "paused", text });
  }

  cancelled(job: JobRecord): void {
    this.status.record(job, {
      status: "cancelled",
      patch: { finishedAt: unixSeconds() },
      text: `${title(job)} job cancelled`,
    });
  }

  #lost(job: JobRecord, { reason, isFault }: Loss): void {
    const { isLast, times } = isFault ? this.#countEnd(job) : {};
    if (isLast) return this.#fail(job, { code: "worker_lost", message: `${reason}, ${times}` });
    const last = this.parts.store.checkpoints.of(job.id).at(-1);
    const from = last ? `the checkpoint of step ${last.step}` : "its start";
    const text = `${reason}; the job continues from ${from}`;
    this.status.record(job, { status: "queued", text, level: "warn" });
  }

  #crashed(
    job: JobRecord,
    { exit: { code, signal, log } }: Outcome & { type: "crashed" },
    stopping: boolean,
  ): void {
    const { step, isLast, times } = this.#countEnd(job);
    const how = signal ? `by signal ${signal}` : `with exit code ${code}`;
    const text = `The training process ended ${how}`;
    if (log) this.parts.serverLog.entry("error", text, { job_id: job.id }, log);
    if (stopping) return;
    if (isLast) {
      return this.#fail(job, { code: "process_crashed", message: `${text}, ${times}` });
    }
    const next = `${text}; continuing from step ${step}`;
    this.status.record(job, { status: "queued", text: next, level: "warn" });
  }

  /** Of a crash or a loss: whether it is one too many, and how to say so. */
  #countEnd({ id }: JobRecord): { step: number; isLast: boolean; times: string } {
    const step = this.parts.store.checkpoints.of(id).at(-1)?.step ?? 0;
    const before = this.#ends.get(id), count = before?.step === step ? before.count + 1 : 1;
    this.#ends.set(id, { step, count });
    const times = `${count} times without getting past step ${step}`;
    return { step, isLast: count >= FRUITLESS_ENDS, times };
  }

  #fail(job: JobRecord, failure: Explanation & { readonly code: string }): void {
    const { code } = failure, text = inClientTerms(failure, job, this.parts);
    this.status.record(job, {
      status: "failed",
      patch: { error: { code, message: text }, finishedAt: unixSeconds() },
      text,
      level: "error",
    });
  }
}

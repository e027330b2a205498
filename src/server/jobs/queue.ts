/**
 * The queue: first in, first out, one job on the GPU at a time. Its state is in the store, so that
 * a killed server resumes where it was: a job that was running runs first.
 *
 * @module
 */
import type { PreparationEvent } from "../../train/events.ts";
import { ApiError, notFound } from "../api_error.ts";
import { newId } from "../store/ids.ts";
import { resultModelName } from "../protocol/job.ts";
import {
  type EventLevel,
  FINAL_STATUSES,
  type JobRecord,
  type JobStatus,
  type NewEvent,
} from "../store/records.ts";
import type { Jobs, NewJob } from "../services.ts";
import type { JobPatch } from "../store/jobs.ts";
import { type Intent, JobRun, type Outcome } from "./job_run.ts";
import type { QueueParts } from "./queue_parts.ts";
import { message } from "./job_events.ts";
import { writeResultsFile } from "./results_file.ts";
import { inClientTerms } from "./wording.ts";
import { unixSeconds } from "../store/unix_seconds.ts";

/** Consecutive crashes allowed without a new checkpoint. */
const FRUITLESS_CRASHES = 3;

export interface QueueHooks {
  /** Before a job takes the GPU. */
  readonly onStart?: () => Promise<void>;
  /** After one has succeeded. */
  readonly onSuccess?: (job: JobRecord) => Promise<void>;
}

export class JobQueue implements Jobs {
  #run: JobRun | undefined;
  #ended: Promise<void> = Promise.resolve();
  /** Validation of the latest job. */
  #validated: Promise<void> = Promise.resolve();
  #stopping = false;
  /** Crashes of the running job since its last checkpoint, and that checkpoint's step. */
  #crashes = { jobId: "", step: 0, count: 0 };

  constructor(readonly parts: QueueParts, readonly hooks: QueueHooks = {}) {}

  start(): void {
    const { store } = this.parts;
    for (const job of store.jobs.withStatus("running")) {
      const from = store.checkpoints.of(job.id).at(-1);
      const where = from ? `the checkpoint of step ${from.step}` : "its start";
      this.#transition(
        job,
        "queued",
        {},
        `The server had stopped; the job continues from ${where}`,
      );
    }
    for (const job of store.jobs.withStatus("validating_files")) this.#validate(job);
    this.#next();
  }

  create(job: NewJob): JobRecord {
    const { store, log } = this.parts;
    const record: JobRecord = {
      ...job,
      id: newId(job.kind === "fine_tuning" ? "ftjob" : "ptjob"),
      status: "validating_files",
      createdAt: unixSeconds(),
      turn: store.jobs.nextTurn(),
      resultFiles: [],
    };
    store.transaction(() => {
      store.jobs.insert(record);
      log.append(record.id, message(`Created ${noun(record)} job: ${record.id}`));
      const files = [...record.trainingFiles, ...record.validationFiles];
      log.append(record.id, message(`Validating files: ${files.join(", ")}`));
    });
    this.#validate(record);
    return record;
  }

  cancel(id: string): JobRecord {
    const job = this.#find(id);
    if (FINAL_STATUSES.includes(job.status)) throw tooLate("cancelled", job);
    if (this.#run?.job.id === id) return this.#end(job, "cancel");
    return this.#transition(
      job,
      "cancelled",
      { finishedAt: unixSeconds() },
      `${title(job)} job cancelled`,
    );
  }

  pause(id: string): JobRecord {
    const job = this.#find(id);
    if (FINAL_STATUSES.includes(job.status) || job.status === "paused") {
      throw tooLate("paused", job);
    }
    if (this.#run?.job.id === id) return this.#end(job, "pause");
    return this.#transition(job, "paused", {}, `${title(job)} job paused`);
  }

  resume(id: string): JobRecord {
    const job = this.#find(id);
    if (job.status !== "paused") throw tooLate("resumed", job);
    const turn = this.parts.store.jobs.nextTurn();
    const resumed = this.#transition(
      job,
      "queued",
      { turn, reason: null },
      `${title(job)} job resumed`,
    );
    this.#next();
    return resumed;
  }

  preparation(id: string): PreparationEvent | undefined {
    return this.#run?.job.id === id ? this.#run.preparation : undefined;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#run?.end("shutdown");
    await Promise.all([this.#validated, this.#ended]);
  }

  #report(error: unknown, { id }: JobRecord): void {
    this.parts.serverLog.fault(error, { job_id: id });
  }

  #find(id: string): JobRecord {
    const job = this.parts.store.jobs.get(id);
    if (!job) throw notFound("job", id);
    return job;
  }

  #end(job: JobRecord, intent: Intent): JobRecord {
    this.#run!.end(intent);
    const doing = intent === "cancel" ? "Cancelling" : "Pausing";
    this.parts.log.append(job.id, message(`${doing} the ${noun(job)} job`));
    return job;
  }

  /** One after another, in order of arrival. */
  #validate(job: JobRecord): void {
    this.#validated = this.#validated.then(() => this.#checkFiles(job)).catch((error) =>
      this.#report(error, job)
    );
  }

  /** Files are validated on upload; this checks that they have not changed. */
  async #checkFiles(job: JobRecord): Promise<void> {
    const { store, storage } = this.parts;
    const fault = await firstAsync([...job.trainingFiles, ...job.validationFiles], async (id) => {
      const file = store.files.get(id);
      if (!file) return `The file ${id} no longer exists`;
      const { size } = await Deno.stat(storage.filePath(file)).catch(() => ({ size: undefined }));
      if (size !== file.bytes) {
        return `The file ${id} has ${
          size ?? "no"
        } bytes in the data folder, expected ${file.bytes}`;
      }
    });
    if (this.#find(job.id).status !== "validating_files") return;
    if (fault) return this.#fail(job, "invalid_training_file", fault);
    this.#transition(job, "queued", {}, "Files validated, moving job to queued state");
    this.#next();
  }

  /** Starts the next job if none is running. */
  #next(): void {
    if (this.#run || this.#stopping) return;
    const job = this.parts.store.jobs.next();
    if (!job) return;
    const begun = { startedAt: job.startedAt ?? unixSeconds() };
    const running = this.#transition(job, "running", begun, `${title(job)} job started`);
    const run = this.#run = new JobRun(running, this.parts);
    this.#ended = this.#attempt(run).finally(() => {
      this.#run = undefined;
      this.#next();
    });
  }

  async #attempt(run: JobRun): Promise<void> {
    await this.hooks.onStart?.().catch((error) => this.#report(error, run.job));
    const outcome = await run.run();
    try {
      await this.#conclude(this.#find(run.job.id), outcome);
    } catch (error) {
      // On a completely full disk even the store cannot be written. The job stays "running" there
      // and resumes when the server is restarted.
      this.#report(error, run.job);
    }
  }

  async #conclude(job: JobRecord, outcome: Outcome): Promise<void> {
    switch (outcome.type) {
      case "succeeded":
        return await this.#succeed(job, outcome.summary.tokens);
      case "stopped":
        return this.#stopped(job, outcome.intent);
      case "failed":
        if (outcome.code === "disk_full") {
          // Omit the hint, which is for command-line users.
          return this.#pauseFor(job, inClientTerms({ message: outcome.message }, job, this.parts));
        }
        return this.#fail(job, outcome.code, inClientTerms(outcome, job, this.parts));
      case "crashed":
        return this.#crashed(job, outcome);
    }
  }

  async #succeed(job: JobRecord, trainedTokens: number): Promise<void> {
    const results = await writeResultsFile(job, this.parts);
    const resultModel = resultModelName(job);
    this.parts.log.append(job.id, message(`New model created: ${resultModel}`));
    const succeeded = this.#transition(job, "succeeded", {
      trainedTokens,
      resultModel,
      resultFiles: [results.id],
      finishedAt: unixSeconds(),
      estimatedFinish: null,
    }, "The job has successfully completed");
    await this.hooks.onSuccess?.(succeeded);
  }

  #stopped(job: JobRecord, intent: Intent): void {
    if (intent === "cancel") {
      const ended = { finishedAt: unixSeconds(), estimatedFinish: null };
      this.#transition(job, "cancelled", ended, `${title(job)} job cancelled`);
    } else if (intent === "pause") {
      this.#transition(job, "paused", { estimatedFinish: null }, `${title(job)} job paused`);
    } // At a shutdown the status stays "running" for the next start.
  }

  #pauseFor(job: JobRecord, reason: string): void {
    const text = `${title(job)} job paused: ${reason}`;
    this.#transition(job, "paused", { reason, estimatedFinish: null }, text, "error");
  }

  #crashed(job: JobRecord, { exit: { code, signal, log } }: Outcome & { type: "crashed" }): void {
    const step = this.parts.store.checkpoints.of(job.id).at(-1)?.step ?? 0;
    const again = this.#crashes.jobId === job.id && this.#crashes.step === step;
    const count = again ? this.#crashes.count + 1 : 1;
    this.#crashes = { jobId: job.id, step, count };
    const how = signal ? `by signal ${signal}` : `with exit code ${code}`;
    const text = `The training process ended ${how}`;
    if (log) this.parts.serverLog.entry("error", text, { job_id: job.id }, log);
    if (this.#stopping) return;
    if (count < FRUITLESS_CRASHES) {
      this.#transition(job, "queued", {}, `${text}; continuing from step ${step}`, "warn");
    } else {
      const times = `${count} times without getting past step ${step}`;
      this.#fail(job, "process_crashed", `${text}, ${times}`);
    }
  }

  #fail(job: JobRecord, code: string, text: string): void {
    const error = { code, message: text };
    this.#transition(
      job,
      "failed",
      { error, finishedAt: unixSeconds(), estimatedFinish: null },
      text,
      "error",
    );
  }

  /** Writes status and event together, so that readers see both or neither. */
  #transition(
    job: JobRecord,
    status: JobStatus,
    patch: JobPatch,
    text: string,
    level: EventLevel = "info",
  ): JobRecord {
    const { store, log } = this.parts;
    const event: NewEvent = { ...message(text, { kind: "status", status }), level };
    return store.transaction(() => {
      const updated = store.jobs.update(job.id, { ...patch, status });
      log.append(job.id, event);
      return updated;
    });
  }
}

const noun = ({ kind }: JobRecord) => kind === "fine_tuning" ? "fine-tuning" : "pre-training";
const title = ({ kind }: JobRecord) => kind === "fine_tuning" ? "Fine-tuning" : "Pre-training";

function tooLate(what: string, { id, status }: JobRecord): ApiError {
  return new ApiError(400, {
    message: `Job ${id} cannot be ${what}: its status is ${status}`,
    code: "invalid_job_status",
  });
}

/** The first result that is not undefined. */
async function firstAsync<T, U>(
  items: readonly T[],
  ask: (item: T) => Promise<U | undefined>,
): Promise<U | undefined> {
  for (const item of items) {
    const answer = await ask(item);
    if (answer !== undefined) return answer;
  }
}

/**
 * The queue: first in, first out, a job on each worker at a time, or on as many as it has processes. Its
 * state is in the store, so that a killed server resumes where it was: jobs that were running run first.
 *
 * @module
 */
import { notFound } from "../api_error.ts";
import { newId } from "../store/ids.ts";
import {
  FINAL_STATUSES,
  type JobPlace,
  type JobRecord,
  type JobStatus,
  placesOf,
  ranksOf,
} from "../store/records.ts";
import type { Activity, Jobs, NewJob, Preparation } from "../services.ts";
import { JobRun } from "./job_run.ts";
import type { Intent } from "./outcome.ts";
import { diskFault } from "../../files/disk_error.ts";
import { Conclusions } from "./conclusions.ts";
import { assertFiles, fileOf } from "./inputs.ts";
import { type StartTraining, startTraining, type TrainingProcess } from "./training_process.ts";
import { hindranceTo, notWaiting, tooLate } from "./refusals.ts";
import { Transitions } from "./transitions.ts";
import type { Hindrance } from "./hindrance.ts";
import { Moments } from "./moments.ts";
import { ownPlaces, Slots } from "./slots.ts";
import type { QueueParts } from "./queue_parts.ts";
import { message, warning } from "./job_events.ts";
import { noun, title } from "./wording.ts";
import { unixSeconds } from "../store/unix_seconds.ts";

/** Statuses that a job leaves on request; those that succeeded or were cancelled stay as they are. */
const RESUMABLE: readonly JobStatus[] = ["paused", "failed"];

/** Milliseconds until the queue, which a disk kept from reading, looks again. */
const LOOK_AGAIN_MS = 1000;

export interface QueueHooks {
  /** Before a job takes the GPU. */
  readonly onStart?: () => Promise<void>;
  /** After one has succeeded. */
  readonly onSuccess?: (job: JobRecord) => Promise<void>;
}

interface Running {
  readonly run: JobRun;
  /** After what became of it is recorded. */
  readonly ended: Promise<void>;
}

/** What a job has for its process, where that is not the server's own. */
interface Elsewhere {
  readonly start?: StartTraining;
  readonly attached?: TrainingProcess;
}

export class JobQueue implements Jobs {
  /** By job. */
  readonly #running = new Map<string, Running>();
  readonly #slots: Slots;
  /** Validation of the latest job. */
  #validated: Promise<void> = Promise.resolve();
  #stopping = false;
  readonly #status: Transitions;
  readonly #conclusions: Conclusions;
  readonly #moments: Moments;

  constructor(readonly parts: QueueParts, readonly hooks: QueueHooks = {}) {
    this.#slots = new Slots(parts.own ?? ownPlaces(parts.options.workers ?? 1, "GPU"));
    this.#moments = parts.moments ?? new Moments();
    this.#status = new Transitions(parts);
    this.#conclusions = new Conclusions(parts, this.#status);
  }

  start(): void {
    const { store } = this.parts;
    for (const job of store.jobs.withStatus("running")) {
      const attached = this.parts.attach?.(job);
      const text = `The server had stopped; the job continues from ${this.#whereFrom(job)}`;
      if (attached) this.#run(job, { attached });
      else this.#status.record(job, { status: "queued", text });
    }
    for (const job of store.jobs.withStatus("validating_files")) this.#validate(job);
    this.#next();
  }

  create(job: NewJob, warnings: readonly string[] = []): JobRecord {
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
      for (const each of warnings) log.append(record.id, warning(each));
    });
    this.#validate(record);
    return record;
  }

  /**
   * Starts a job that waits on a worker elsewhere; returns what resolves when it no longer runs there.
   * Throws an ApiError 409 for any other, and what the disk cannot take.
   */
  claim(id: string, place: JobPlace, start: StartTraining): Promise<void> {
    const job = this.#find(id);
    if (job.status !== "queued" || this.#running.has(id) || this.#stopping) throw notWaiting(job);
    const ended = this.#run(this.#toRunning(job, place), { start });
    this.#next(); // those behind it may have waited for it
    return ended;
  }

  /** Resolves when what becomes of a job that runs is recorded. */
  ended(id: string): Promise<void> {
    return this.#running.get(id)?.ended ?? Promise.resolve();
  }

  cancel(id: string): JobRecord {
    const job = this.#find(id);
    if (FINAL_STATUSES.includes(job.status)) throw tooLate("cancelled", job);
    if (this.#running.has(id)) return this.#end(job, "cancel");
    this.#conclusions.cancelled(job);
    this.#next();
    return this.#find(id);
  }

  pause(id: string): JobRecord {
    const job = this.#find(id);
    if (FINAL_STATUSES.includes(job.status) || job.status === "paused") {
      throw tooLate("paused", job);
    }
    if (this.#running.has(id)) return this.#end(job, "pause");
    this.#conclusions.paused(job);
    this.#next();
    return this.#find(id);
  }

  resume(id: string): JobRecord {
    const job = this.#find(id);
    if (!RESUMABLE.includes(job.status)) throw tooLate("resumed", job);
    const { store } = this.parts;
    // The files of a job that has failed can be deleted: it would only fail again.
    for (const each of [...job.trainingFiles, ...job.validationFiles]) fileOf(store, each);
    const turn = store.jobs.nextTurn();
    const from = job.status === "failed" ? ` from ${this.#whereFrom(job)}` : "";
    const resumed = this.#status.make(job, {
      status: "queued",
      patch: { turn },
      text: `${title(job)} job resumed${from}`,
    });
    this.#conclusions.forgetEnds(id);
    this.#next();
    return resumed;
  }

  preparation(id: string): Preparation | undefined {
    return this.#moments.of(id)?.preparation;
  }

  activity(id: string): Activity | undefined {
    return this.#moments.of(id)?.activity;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const all = [...this.#running.values()];
    for (const { run } of all) run.end("shutdown");
    await Promise.all([this.#validated, ...all.map(({ ended }) => ended)]);
  }

  #report(error: unknown, { id }: JobRecord): void {
    this.parts.serverLog.fault(error, { job_id: id });
  }

  #find(id: string): JobRecord {
    const job = this.parts.store.jobs.get(id);
    if (!job) throw notFound("job", id);
    return job;
  }

  /** Where a run would take the job up. */
  #whereFrom(job: JobRecord): string {
    const last = this.parts.store.checkpoints.of(job.id).at(-1);
    return last ? `the checkpoint of step ${last.step}` : "its start";
  }

  #end(job: JobRecord, intent: Intent): JobRecord {
    this.#running.get(job.id)!.run.end(intent);
    const doing = intent === "cancel" ? "Cancelling" : "Pausing";
    try {
      this.parts.log.append(job.id, message(`${doing} the ${noun(job)} job`));
    } catch (error) {
      // What matters, the end itself, is recorded in any case.
      if (!diskFault(error)) throw error;
    }
    return job;
  }

  /** One after another, in order of arrival. */
  #validate(job: JobRecord): void {
    this.#validated = this.#validated.then(() => this.#checkFiles(job)).catch((error) =>
      this.#report(error, job)
    );
  }

  async #checkFiles(job: JobRecord): Promise<void> {
    const fault = await assertFiles(job, this.parts).then(() => undefined, (error) => ({ error }));
    if (this.#find(job.id).status !== "validating_files") return;
    if (fault) return this.#conclusions.thrown(job, fault.error);
    this.#status.record(job, {
      status: "queued",
      text: "Files validated, moving job to queued state",
    });
    this.#next();
  }

  /**
   * Starts the next jobs on the workers that are free. One that needs more of them than are free keeps
   * its turn: those behind it wait as well, or it might wait for ever.
   */
  #next(): void {
    try {
      while (this.#slots.free && !this.#stopping) {
        const job = this.#whoseTurn();
        if (!job || ranksOf(job) > this.#slots.free) return;
        this.#start(job, this.#slots.take(ranksOf(job)));
      }
    } catch (error) {
      this.parts.serverLog.fault(error);
      Deno.unrefTimer(setTimeout(() => this.#next(), LOOK_AGAIN_MS));
    }
  }

  /** A job that has crashed is queued again a moment before its run is over. */
  #whoseTurn(): JobRecord | undefined {
    const { jobs } = this.parts.store;
    const isReady = (job: JobRecord) => !this.#running.has(job.id) && this.#hasPlaces(job);
    const next = jobs.next();
    return !next || isReady(next) ? next : jobs.withStatus("queued").find(isReady);
  }

  /** Whether the server's own workers can, once they are free. */
  canRun(job: JobRecord): boolean {
    return !this.#hindranceTo(job);
  }

  /** The same. If it can run nowhere, since the server was started anew, it is paused. */
  #hasPlaces(job: JobRecord): boolean {
    const hindrance = this.#hindranceTo(job);
    // Workers elsewhere may have what is missing here.
    if (hindrance && this.parts.options.queue === undefined) {
      this.#conclusions.thrown(job, hindrance);
    }
    return !hindrance;
  }

  #hindranceTo(job: JobRecord): Hindrance | undefined {
    return hindranceTo(ranksOf(job), this.#slots.all.length, this.parts.findLauncher);
  }

  /** Pauses it instead if the disk cannot take that it runs. */
  #start(job: JobRecord, place: JobPlace): void {
    try {
      this.#run(this.#toRunning(job, place));
    } catch (error) {
      this.#slots.giveBack(place);
      this.#conclusions.thrown(job, error);
    }
  }

  #toRunning(job: JobRecord, runsOn: JobPlace): JobRecord {
    const names = placesOf(runsOn).map(({ worker }) => worker);
    const where = runsOn.lease ? ` on worker ${names.join(" and ")}` : "";
    return this.#status.make(job, {
      status: "running",
      patch: { startedAt: job.startedAt ?? unixSeconds(), runsOn },
      text: `${title(job)} job started${where}`,
    });
  }

  #run(job: JobRecord, { start, attached }: Elsewhere = {}): Promise<void> {
    const { startTraining: here = startTraining } = this.parts, place = job.runsOn!;
    const own: StartTraining = (task) => here({ ...task, ...this.#slots.cardsOf(place) });
    const parts = { ...this.parts, startTraining: start ?? own, moments: this.#moments };
    const run = new JobRun(job, parts, attached);
    // Not before it is among those that run, where whoever ends it looks for it.
    const ended = Promise.resolve().then(() => this.#attempt(run))
      .catch((error) => this.#report(error, job))
      .finally(() => {
        this.#running.delete(job.id);
        if (!place.lease) this.#slots.giveBack(place);
        this.#moments.set(job.id, undefined);
        this.#next();
      });
    this.#running.set(job.id, { run, ended });
    return ended;
  }

  async #attempt(run: JobRun): Promise<void> {
    // A worker elsewhere has a card of its own.
    if (!run.job.runsOn?.lease) {
      await this.hooks.onStart?.().catch((error) => this.#report(error, run.job));
    }
    const outcome = await run.run(), { job } = run;
    try {
      await this.#conclusions.conclude(job, outcome, this.#stopping);
    } catch (error) {
      if (run.isCancelled) return this.#conclusions.cancelled(job);
      return this.#conclusions.thrown(job, error);
    }
    if (outcome.type !== "succeeded") return;
    await this.hooks.onSuccess?.(this.#find(job.id)).catch((error) => this.#report(error, job));
  }
}

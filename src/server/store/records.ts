/** The server's records: files, jobs, their checkpoints and events, and API keys. */
import type { MemoryPlan } from "../../train/plan.ts";

export const JOB_KINDS = ["fine_tuning", "pretraining"] as const;
export type JobKind = typeof JOB_KINDS[number];

/** OpenAI's statuses and `paused`, in order of a job's life. */
export const JOB_STATUSES = [
  "validating_files",
  "queued",
  "running",
  "paused",
  "succeeded",
  "failed",
  "cancelled",
] as const;
export type JobStatus = typeof JOB_STATUSES[number];

/** Statuses that a job leaves only when someone resumes it, and only `failed` can be. */
export const FINAL_STATUSES: readonly JobStatus[] = ["succeeded", "failed", "cancelled"];

/** An uploaded file, or a result. Its bytes are stored under its id in the data folder. */
export interface FileRecord {
  readonly id: string; // file-…
  readonly filename: string;
  /** `.jsonl`, where its name does not end as a data file's: as its content was judged. */
  readonly ending?: string;
  readonly purpose: string;
  readonly bytes: number;
  /** Number of lines, for JSON lines. */
  readonly lines: number;
  /** Absent in results of jobs, and in uploads of servers that did not count them. */
  readonly contents?: FileContents;
  /** Unix seconds, like all times here. */
  readonly createdAt: number;
  readonly expiresAt?: number;
}

/** Numbers of a file's records by kind; of a text all are 0. */
export interface FileContents {
  /** Dialogues, which a chat template writes as text. */
  readonly chat: number;
  /** Prompts with a completion. */
  readonly completion: number;
  /** Texts. */
  readonly text: number;
}

export interface JobError {
  readonly code: string;
  readonly message: string;
  readonly param?: string;
}

/** A worker, and its GPU. */
export interface WorkerPlace {
  /** Name of the worker: `server-1`, `server-2`, … on the server's own machine. */
  readonly worker: string;
  /** Name of its GPU. */
  readonly card: string;
}

/** Where a job runs. */
export interface JobPlace extends WorkerPlace {
  /** Where its other processes run, if it has several. */
  readonly others?: readonly WorkerPlace[];
  /** Of a worker on another machine: what it shows with every call. */
  readonly lease?: string;
  /** The offer that it took. */
  readonly offer?: string;
}

export interface JobRecord {
  readonly id: string; // ftjob-… or ptjob-…
  readonly kind: JobKind;
  readonly status: JobStatus;
  readonly createdAt: number;
  /** Position in the queue: the lowest is next. */
  readonly turn: number;
  /** Time of the first start. */
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly estimatedFinish?: number;
  /** Name of the base model or the preset. */
  readonly model: string;
  /** The request as accepted, shown in responses. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Options of the run under their library names, without paths, as `parse` takes them. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly trainingFiles: readonly string[];
  readonly validationFiles: readonly string[];
  /** The plan made before the job was accepted. */
  readonly plan: Pick<MemoryPlan, "plannedPeakBytes" | "byPurpose"> & {
    /** Most disk space used: checkpoints and the result. */
    readonly diskBytes: number;
    /** Processes that train together, each of which takes that memory, and a worker; by default one. */
    readonly ranks?: number;
  };
  readonly trainedTokens?: number;
  /** Model name of the result. */
  readonly resultModel?: string;
  readonly resultFiles: readonly string[];
  /** Why it failed. */
  readonly error?: JobError;
  /** Why it is paused, if not on request. */
  readonly reason?: string;
  readonly reasonCode?: HindranceCode;
  /** While it runs. */
  readonly runsOn?: JobPlace;
}

/** Processes of a job. */
export const ranksOf = ({ plan }: Pick<JobRecord, "plan">): number => plan.ranks ?? 1;

/** Where each process of a job runs; nowhere if it does not. */
export function placesOf(place: JobPlace | undefined): WorkerPlace[] {
  if (!place) return [];
  const { worker, card, others = [] } = place;
  return [{ worker, card }, ...others];
}

/** The data folder's disk is full, or fails; a model, a file or a process is not to be had. */
export const HINDRANCE_CODES = ["disk_full", "disk_error", "unavailable"] as const;
export type HindranceCode = typeof HINDRANCE_CODES[number];

export interface CheckpointRecord {
  readonly id: string; // ftckpt-…
  readonly jobId: string;
  readonly step: number;
  readonly createdAt: number;
  /** Metrics of the step, such as `train_loss` and `valid_loss`, if known. */
  readonly metrics: Readonly<Record<string, number>>;
}

export type EventLevel = "info" | "warn" | "error";
export type EventType = "message" | "metrics";

/** An event to append to a job's log. */
export interface NewEvent {
  /** Deduplication key such as `step:12`; events without one are always new. */
  readonly key?: string;
  readonly level: EventLevel;
  readonly type: EventType;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EventRecord extends Omit<NewEvent, "key"> {
  /** Sequence number over all jobs; the id of server-sent events. */
  readonly seq: number;
  readonly jobId: string;
  readonly createdAt: number;
}

export interface KeyRecord {
  readonly id: string; // key-…
  readonly name: string;
  readonly createdAt: number;
  readonly lastUsedAt?: number;
  readonly revokedAt?: number;
}

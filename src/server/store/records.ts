/** What the server keeps: files, jobs, their checkpoints and events, and API keys. */
import type { MemoryPlan } from "../../train/plan.ts";

export const JOB_KINDS = ["fine_tuning", "pretraining"] as const;
export type JobKind = typeof JOB_KINDS[number];

/** OpenAI's, and in its order of life. */
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

/** States that nothing leads out of. */
export const FINAL_STATUSES: readonly JobStatus[] = ["succeeded", "failed", "cancelled"];

/** An uploaded file, or a result. Its bytes lie under its id in the data folder. */
export interface FileRecord {
  readonly id: string; // file-…
  readonly filename: string;
  readonly purpose: string;
  readonly bytes: number;
  /** Lines, of JSON lines. */
  readonly lines: number;
  /** Unix seconds, as all times here. */
  readonly createdAt: number;
  readonly expiresAt?: number;
}

export interface JobError {
  readonly code: string;
  readonly message: string;
  readonly param?: string;
}

export interface JobRecord {
  readonly id: string; // ftjob-… or ptjob-…
  readonly kind: JobKind;
  readonly status: JobStatus;
  readonly createdAt: number;
  /** Place in the queue: the least is next. */
  readonly turn: number;
  /** Of the first start. */
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly estimatedFinish?: number;
  /** Name of the model that it starts from, or the preset that it trains. */
  readonly model: string;
  /** The request as it was accepted, to be shown again. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Options of the run in their library spelling, without paths: what `parse` takes. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly trainingFiles: readonly string[];
  readonly validationFiles: readonly string[];
  /** As it was planned before the job was accepted. */
  readonly plan: Pick<MemoryPlan, "plannedPeakBytes" | "byPurpose"> & {
    /** Of the data folder, at most: checkpoints and the result. */
    readonly diskBytes: number;
  };
  readonly trainedTokens?: number;
  /** Name of the result among the models. */
  readonly resultModel?: string;
  readonly resultFiles: readonly string[];
  /** Why it failed. */
  readonly error?: JobError;
  /** Why it is paused, where nobody asked for that. */
  readonly reason?: string;
}

export interface CheckpointRecord {
  readonly id: string; // ftckpt-…
  readonly jobId: string;
  readonly step: number;
  readonly createdAt: number;
  /** Of the step: `train_loss`, `valid_loss` and the like, where known. */
  readonly metrics: Readonly<Record<string, number>>;
}

export type EventLevel = "info" | "warn" | "error";
export type EventType = "message" | "metrics";

/** What is told of a job once and for good. */
export interface NewEvent {
  /** What must not be told twice, as `step:12`; events without one are always new. */
  readonly key?: string;
  readonly level: EventLevel;
  readonly type: EventType;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EventRecord extends Omit<NewEvent, "key"> {
  /** Counts up over all jobs: the id of server-sent events. */
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

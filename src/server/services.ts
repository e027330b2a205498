/**
 * The parts of the server as its routes see them. `serve` makes the real ones; a test makes those
 * that it needs.
 *
 * @module
 */
import type { Capabilities } from "../gpu/capabilities.ts";
import type { DiskPlan } from "../train/disk.ts";
import type { Alternative, MemoryPlan } from "../train/plan.ts";
import type { ServerOptions } from "./options.ts";
import type { EventRecord, FileRecord, JobKind, JobRecord, NewEvent } from "./store/records.ts";
import type { Store } from "./store/store.ts";

export interface Services {
  readonly options: ServerOptions;
  readonly device: Device;
  readonly store: Store;
  readonly log: EventLog;
  readonly streams: Streams;
  readonly metrics: Metrics;
  readonly jobs: Jobs;
  readonly models: Models;
  readonly inference: Inference;
  readonly storage: Storage;
  readonly room: Room;
}

/** The GPU as a probe found it, in a process of its own: the server never opens one. */
export interface Device {
  readonly name: string;
  readonly capabilities: Capabilities;
}

/** What is told of jobs: written first, then handed to whoever listens. */
export interface EventLog {
  /** Undefined where an event of that key was told of the job before. */
  append(jobId: string, event: NewEvent): EventRecord | undefined;
  /** Calls back after each event, until the returned function is called. */
  subscribe(listener: (event: EventRecord) => void): () => void;
}

export interface StreamQuery {
  /** All jobs, and without an end, unless given. */
  readonly jobId?: string;
  /** The last event that is known: a job's first unless given, and of all jobs what comes now. */
  readonly after?: number;
  /** Everything as event objects, or only the metrics' data, and changes of the job's status. */
  readonly content: "events" | "metrics";
}

/** Server-sent events of jobs, for any number of readers. */
export interface Streams {
  /** Streams that are held now. */
  readonly count: number;
  /** Ends with `data: [DONE]` when the job has ended and all of its events were sent. */
  open(query: StreamQuery): ReadableStream<Uint8Array>;
}

/** One answered request. */
export interface RequestSample {
  readonly method: string;
  /** The pattern that it matched. */
  readonly route: string;
  readonly status: number;
  /** Until the answer began. */
  readonly seconds: number;
}

/** What a Prometheus server reads. */
export interface Metrics {
  readonly contentType: string;
  /** In the text format. */
  text(): Promise<string>;
  /** Counts a request. */
  observe(request: RequestSample): void;
}

/** A run to be queued: checked, planned, and found to fit. */
export type NewJob = Pick<
  JobRecord,
  "kind" | "model" | "request" | "options" | "trainingFiles" | "validationFiles" | "plan"
>;

/** What a job does before its first step. */
export interface Preparation {
  readonly what: string;
  readonly share?: number;
  readonly count?: number;
}

/** The queue: first in, first out, one job on the GPU at a time. */
export interface Jobs {
  /** Starts what can start: after a crash, what was running first. */
  start(): void;
  create(job: NewJob): JobRecord;
  /**
   * These answer at once; what is running stops within a step, and its events tell when. A job that
   * the request is too late or too early for is an ApiError 400 that names its status.
   */
  cancel(id: string): JobRecord;
  pause(id: string): JobRecord;
  resume(id: string): JobRecord;
  /** What the running job does before its first step. */
  preparation(id: string): Preparation | undefined;
  /** Ends the running job after a checkpoint, to go on when the server is back. */
  stop(): Promise<void>;
}

export interface ModelRecord {
  /** `llama3`, `ft:llama3:suffix:AbC123`, `ft:llama3:suffix:AbC123:ckpt-step-40`. */
  readonly name: string;
  readonly createdAt: number;
  readonly kind: "base" | "result" | "checkpoint";
  /** A folder in Hugging Face's layout or a .gguf file: what `fromPretrained` takes. */
  readonly path: string;
  /** Folder of an adapter of peft's to put on it. */
  readonly adapter?: string;
  /** Of which job it is. */
  readonly jobId?: string;
  /** Of which step, where it is a checkpoint. */
  readonly step?: number;
}

export interface Models {
  /** Base models of the models folder, and results of jobs. */
  list(): Promise<ModelRecord[]>;
  /** An ApiError 404, code `model_not_found`, where there is none of that name. */
  get(name: string): Promise<ModelRecord>;
  /** Removes a result. An ApiError for base models (403) and models in use (409). */
  delete(name: string): Promise<void>;
}

/** What a model is asked to say. */
export interface GenerationRequest {
  readonly model: string;
  /** A dialogue, or a text to continue. */
  readonly prompt:
    | { readonly messages: readonly { readonly role: string; readonly content: string }[] }
    | { readonly text: string };
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
}

export type GenerationEvent =
  | { readonly type: "text"; readonly text: string }
  | {
    readonly type: "done";
    readonly finishReason: "stop" | "length";
    readonly promptTokens: number;
    readonly completionTokens: number;
  };

/** Finished models that answer, in a process of their own. */
export interface Inference {
  /** Ends with `done`; an abort stops it between two tokens. Faults are ApiErrors. */
  generate(request: GenerationRequest, signal: AbortSignal): AsyncIterable<GenerationEvent>;
  /** The model whose weights are on the GPU. */
  readonly loaded: string | undefined;
  /** Gives the GPU's memory back. */
  unload(): Promise<void>;
  stop(): Promise<void>;
}

/** What keeps the data folder below its quota. */
export interface Room {
  /**
   * Removes checkpoints of jobs that have ended, the oldest first, until so many bytes may be
   * written. False where that is not enough.
   */
  makeRoom(bytes: number): Promise<boolean>;
}

/** The data folder. Paths are made of ids that the server gave, and of nothing else. */
export interface Storage {
  readonly path: string;
  readonly database: string;
  /** Where an uploaded file's bytes lie; `.jsonl`, `.txt` and the like by its name. */
  filePath(file: Pick<FileRecord, "id" | "filename">): string;
  /** The output folder of a job's run. */
  jobFolder(id: string): string;
  /** Bytes of everything in the data folder. */
  used(): Promise<number>;
  /** Bytes that may still be written, by the quota and by the disk. */
  free(): Promise<number>;
  /** Counts bytes just written (removed: less than 0) until the folder is measured again. */
  account(bytes: number): void;
  /** Forgets what was measured: a process has written much. */
  remeasure(): void;
}

/** Memory of a run before there is one, and whether it would fit. */
export interface JobPlan {
  readonly plan: MemoryPlan;
  /** Bytes of the GPU; undefined where nobody said and it cannot be asked. */
  readonly limit?: number;
  readonly kind: JobKind;
}

/** The same with its share of the disk, and what would fit. */
export interface PlannedJob extends JobPlan {
  readonly disk: DiskPlan;
  /** The largest buffer that the adapter allows. */
  readonly maxBufferSize: number;
  readonly fits: boolean;
  /** None where it fits as it is. */
  readonly alternatives: readonly Alternative[];
}

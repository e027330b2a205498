/**
 * The interfaces of the server's parts, as its routes see them. `serve` builds the real ones; a
 * test builds those that it needs.
 *
 * @module
 */
import type { Capabilities } from "../gpu/capabilities.ts";
import type { DiskPlan } from "../train/disk.ts";
import type { FinetuneOptions } from "../train/finetune_options.ts";
import type { PretrainOptions } from "../train/options.ts";
import type { Alternative } from "../train/does_not_fit.ts";
import type { MemoryPlan } from "../train/plan.ts";
import type { SizedRun } from "../train/sizing.ts";
import type { ProgressEvent } from "../train/events.ts";
import type { ServerOptions } from "./options.ts";
import type { ServerLog } from "./server_log.ts";
import type { EventRecord, FileRecord, JobKind, JobRecord, NewEvent } from "./store/records.ts";
import type { Store } from "./store/store.ts";

export interface Services {
  readonly options: ServerOptions;
  readonly device: Device;
  /** The workers of this machine. */
  readonly own: readonly OwnWorker[];
  /** What starts the processes of a job that has several; throws a `UserError` if nothing does. */
  readonly findLauncher: () => unknown;
  readonly serverLog: ServerLog;
  readonly store: Store;
  readonly log: EventLog;
  readonly streams: Streams;
  readonly metrics: Metrics;
  readonly jobs: Jobs;
  /** Of a server with a queue. */
  readonly pool?: Pool;
  readonly rehearsal: Rehearsing;
  readonly models: Models;
  readonly inference: Inference;
  readonly storage: Storage;
  readonly room: Room;
}

/** The GPU as found by a probe process: the server itself never opens one. */
export interface Device {
  readonly name: string;
  readonly capabilities: Capabilities;
}

/** Events of jobs: stored first, then passed to listeners. */
export interface EventLog {
  /** Undefined if the job already has an event with that key. */
  append(jobId: string, event: NewEvent): EventRecord | undefined;
  /** Calls `listener` after each event, until the returned function is called. */
  subscribe(listener: (event: EventRecord) => void): () => void;
}

export interface StreamQuery {
  /** If absent, the stream covers all jobs and does not end. */
  readonly jobId?: string;
  /**
   * The last event already known. By default a job's stream starts at its first event, and that of
   * all jobs now.
   */
  readonly after?: number;
  /** All events as objects, or only metrics data and status changes. */
  readonly content: "events" | "metrics";
}

/** Server-sent events of jobs, for any number of readers. */
export interface Streams {
  /** Number of open streams. */
  readonly count: number;
  /** Whether the reader has all events of a job that has ended. */
  isOver(query: StreamQuery): boolean;
  /** Ends with `data: [DONE]` once the job has ended and all its events were sent. */
  open(query: StreamQuery): ReadableStream<Uint8Array>;
}

/** One answered request. */
export interface RequestSample {
  readonly method: string;
  /** The matched route pattern. */
  readonly route: string;
  readonly status: number;
  /** Time until the response began. */
  readonly seconds: number;
}

/** Prometheus metrics. */
export interface Metrics {
  readonly contentType: string;
  /** In the text format. */
  text(): Promise<string>;
  /** Counts a request. */
  observe(request: RequestSample): void;
}

/** A run to queue: validated, planned, and known to fit. */
export type NewJob = Pick<
  JobRecord,
  "kind" | "model" | "request" | "options" | "trainingFiles" | "validationFiles" | "plan"
>;

/** What was found by opening what a run trains on, in the API's terms. */
export type Rehearsed =
  | { readonly warnings: readonly string[] }
  | {
    readonly refused: string;
    /** The option at fault, by its library name, if it is one. */
    readonly option?: string;
  };

/** Finds out before a job is accepted what its run would refuse before its first step. */
export interface Rehearsing {
  /** Undefined if that takes too long, or cannot be done now: the run will find out. */
  rehearse(job: NewJob): Promise<Rehearsed | undefined>;
}

/** What a job does before its first step. */
export interface Preparation {
  readonly what: string;
  readonly share?: number;
  readonly count?: number;
}

/** What a job does from its first step on. */
export type Activity = Omit<ProgressEvent, "type">;

/** The queue: first in, first out, a job on each worker at a time. */
export interface Jobs {
  /** Starts jobs; after a crash, those that were running first. */
  start(): void;
  /** `warnings` are stored with the job, so that a disk that cannot take them takes no job either. */
  create(job: NewJob, warnings?: readonly string[]): JobRecord;
  /**
   * These return immediately; a running job stops within a step and reports it as an event. Throws
   * an ApiError 400 that names the status if the job is not in a suitable one.
   */
  cancel(id: string): JobRecord;
  pause(id: string): JobRecord;
  /** A failed job as well as a paused one: from its last checkpoint, or else from its start. */
  resume(id: string): JobRecord;
  /** What a running job does before its first step. */
  preparation(id: string): Preparation | undefined;
  /** What it does from then on. */
  activity(id: string): Activity | undefined;
  /** Ends the running jobs after a checkpoint; they resume when the server restarts. */
  stop(): Promise<void>;
}

/** A worker, as the server knows it. */
export interface WorkerSeen {
  readonly worker: string;
  /** Name of its GPU. */
  readonly card: string;
}

/** A worker of the server's machine. */
export interface OwnWorker extends WorkerSeen {
  /** Of the processes of its jobs: they see its card only. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Workers on other machines. */
export interface Pool {
  /** Those that have a job, or were heard from within a minute. */
  workers(): WorkerSeen[];
  /**
   * Most processes of a job that one of their machines can run; in the first minute, before all have
   * been heard from, as many as any machine could.
   */
  readonly mostRanks: number;
}

export interface ModelRecord {
  /** `llama3`, `ft:llama3:suffix:AbC123`, `ft:llama3:suffix:AbC123:ckpt-step-40`. */
  readonly name: string;
  readonly createdAt: number;
  readonly kind: "base" | "result" | "checkpoint";
  /** A folder in Hugging Face's layout or a .gguf file: what `fromPretrained` takes. */
  readonly path: string;
  /** Folder of a peft adapter to apply. */
  readonly adapter?: string;
  /** What else is read to open it: the weights that a checkpoint does not hold. */
  readonly reads?: readonly string[];
  /** The job that it is a result of. */
  readonly jobId?: string;
  /** The step, if it is a checkpoint. */
  readonly step?: number;
}

export interface Models {
  /** Base models of the models folder, and results of jobs. */
  list(): Promise<ModelRecord[]>;
  /** Throws an ApiError 404, code `model_not_found`, if none has that name. */
  get(name: string): Promise<ModelRecord>;
  /** Removes a result. Throws an ApiError for base models (403) and models in use (409). */
  delete(name: string): Promise<void>;
}

/** A request for text from a model. */
export interface GenerationRequest {
  readonly model: string;
  /** A dialogue, or a text to continue. */
  readonly prompt:
    | { readonly messages: readonly { readonly role: string; readonly content: string }[] }
    | { readonly text: string };
  readonly maxTokens?: number;
  /** Whether to refuse a prompt that leaves no room for that many. */
  readonly mustFit?: boolean;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
  readonly logitBias?: Readonly<Record<number, number>>;
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

/** Inference with finished models, in a separate process. */
export interface Inference {
  /** Ends with `done`; an abort stops it between tokens. Faults are ApiErrors. */
  generate(request: GenerationRequest, signal: AbortSignal): AsyncIterable<GenerationEvent>;
  /** The model whose weights are on the GPU. */
  readonly loaded: string | undefined;
  /** Releases its GPU memory. */
  unload(): Promise<void>;
  stop(): Promise<void>;
}

/** Keeps the data folder below its quota. */
export interface Room {
  /**
   * Removes checkpoints of finished jobs, those of failed ones last, until `bytes` can be written.
   * Returns false if that is not enough.
   */
  makeRoom(bytes: number): Promise<boolean>;
}

/** The data folder. Paths consist only of ids that the server assigned. */
export interface Storage {
  readonly path: string;
  readonly database: string;
  /** Path of an uploaded file's bytes; the extension follows its name. */
  filePath(file: Pick<FileRecord, "id" | "filename" | "ending">): string;
  /** The output folder of a job's run. */
  jobFolder(id: string): string;
  /** Bytes of everything in the data folder. */
  used(): Promise<number>;
  /** Bytes that may still be written, limited by quota and disk. */
  free(): Promise<number>;
  /** Adds bytes just written (negative if removed) until the folder is measured again. */
  account(bytes: number): void;
  /** Discards the measurement, after a process has written much. */
  remeasure(): void;
}

/** The planned memory of a run, and whether it fits. */
export interface JobPlan {
  /** Of each process, if it has several. */
  readonly plan: MemoryPlan;
  /** Bytes of GPU memory; undefined if neither configured nor known. */
  readonly limit?: number;
  readonly kind: JobKind;
}

/** The same with disk usage, and what would fit. */
export interface PlannedJob extends JobPlan {
  /** What was planned. */
  readonly run: SizedRun & { readonly options: PretrainOptions | FinetuneOptions };
  readonly disk: DiskPlan;
  /** The largest buffer that the adapter allows. */
  readonly maxBufferSize: number;
  readonly fits: boolean;
  /** Empty if it fits, or nothing does; undefined if they could not be looked for. */
  readonly alternatives: readonly Alternative[] | undefined;
}

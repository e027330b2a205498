/** The protocol between the server and the training process. */
import type { DiskFault } from "../../files/disk_error.ts";
import type { TileTable } from "../../kernels/matmul/matmul_tuning.ts";
import type { Explanation } from "../../options/user_error.ts";
import type { PreparationEvent, ProgressEvent, TrainingEvent } from "../../train/events.ts";
import type { JobKind } from "../store/records.ts";

/** The first line on the process's stdin. */
export interface TrainingTask {
  readonly kind: JobKind;
  /** Input for `finetuneOptions` or `pretrainOptions`; `output` is the job's folder. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Processes that train it together; by default one. */
  readonly ranks?: number;
  /** Of each of several processes: variables by which it sees its card alone. */
  readonly cards?: readonly Readonly<Record<string, string>>[];
  /** Tiles timed by earlier jobs, by adapter; see train/timings.ts. */
  readonly timings?: Readonly<Record<string, TileTable>>;
  /** Write the model of the checkpoint in `resume` instead of training. */
  readonly saveCheckpoint?: boolean;
}

/**
 * Any later line: finish the step, save and end. So does the end of stdin, when the server is gone.
 */
export interface StopCommand {
  readonly command: "stop";
}

export type FailureCode =
  | DiskFault
  | "insufficient_gpu_memory"
  | "gpu_error"
  | "invalid_run"
  | "internal_error";

/** A line on stdout if the run does not end with `done`: the last, but for those of other processes. */
export interface FailureEvent extends Explanation {
  readonly type: "failure";
  readonly code: FailureCode;
  /** Of several processes: the one that failed, unless it is the run itself that cannot be. */
  readonly rank?: number;
  /** Another process has failed, or does not come. */
  readonly follows?: true;
}

/** One of several processes has waited for others for long. */
export interface WaitingEvent {
  readonly type: "waiting";
  readonly message: string;
}

/** What was timed for this job, for those that follow: its process may write to its folder alone. */
export interface TimingsEvent {
  readonly type: "timings";
  readonly key: string;
  readonly tiles: TileTable;
}

/** From a worker on another machine, whose process waits for what comes from the server. */
export interface FetchingEvent {
  readonly type: "preparation";
  readonly what: "fetching inputs";
  readonly share: number;
}

/** A preparation, a progress, a wait and timings are of the moment: the journal has none of them. */
export type WorkerEvent =
  | TrainingEvent
  | PreparationEvent
  | ProgressEvent
  | TimingsEvent
  | FetchingEvent
  | WaitingEvent
  | FailureEvent;

/** In the job's folder: the run's events, in case the server does not receive them. */
export const JOURNAL_FILE = "events.jsonl";
/** In the job's folder: held by the process that writes there. */
export const LOCK_FILE = "lock";

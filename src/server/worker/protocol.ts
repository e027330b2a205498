/** What the server and the process that trains tell each other. */
import type { Explanation } from "../../options/user_error.ts";
import type { PreparationEvent, TrainingEvent } from "../../train/events.ts";
import type { JobKind } from "../store/records.ts";

/** The first line on the process's stdin. */
export interface TrainingTask {
  readonly kind: JobKind;
  /** What `finetuneOptions` or `pretrainOptions` parses; `output` is the job's folder. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Write the model of the checkpoint that `resume` names, and do not train. */
  readonly saveCheckpoint?: boolean;
}

/** Any later line: finish the step, save, end. So does the end of stdin: the server is gone. */
export interface StopCommand {
  readonly command: "stop";
}

export type FailureCode =
  | "disk_full"
  | "insufficient_gpu_memory"
  | "gpu_error"
  | "invalid_run"
  | "internal_error";

/** The last line on stdout, where the run did not end with `done`. */
export interface FailureEvent extends Explanation {
  readonly type: "failure";
  readonly code: FailureCode;
}

export type WorkerEvent = TrainingEvent | PreparationEvent | FailureEvent;

/** In the job's folder: what was told, in case nobody was there to hear it. */
export const JOURNAL_FILE = "events.jsonl";
/** In the job's folder: held by the process that writes there. */
export const LOCK_FILE = "lock";

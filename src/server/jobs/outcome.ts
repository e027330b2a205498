/** How an attempt of a job ended. */
import { phrase } from "../../options/phrase.ts";
import type { Explanation } from "../../options/user_error.ts";
import type { Summary } from "../../train/events.ts";
import { ApiError } from "../api_error.ts";
import type { ServerLog } from "../server_log.ts";
import { type Hindered, hindranceOf } from "./hindrance.ts";
import type { FailureEvent } from "../worker/protocol.ts";
import type { Exit, Loss } from "./training_process.ts";

/** Why a run should end before its last step. */
export type Intent = "pause" | "cancel" | "shutdown";

interface Failed extends Explanation {
  readonly type: "failed";
  readonly code: string;
}

export type Outcome =
  | { readonly type: "succeeded"; readonly summary: Summary }
  /** As requested. */
  | { readonly type: "stopped"; readonly intent: Intent }
  | Failed
  | Hindered
  /** Its worker gave it up: another takes it on. */
  | { readonly type: "lost" } & Loss
  /** It ended without a result. */
  | { readonly type: "crashed"; readonly exit: Exit };

/** What an error means for its job. A fault of the server itself is logged. */
export function outcomeOf(error: unknown, jobId: string, log: ServerLog): Failed | Hindered {
  const hindered = hindranceOf(error);
  if (hindered) return hindered;
  const { message } = error as Error;
  if (error instanceof ApiError) {
    return { type: "failed", code: error.details.code ?? "internal_error", message };
  }
  log.fault(error, { job_id: jobId });
  return { type: "failed", code: "internal_error", message };
}

/** Of the failures of several processes, the first counts: others often follow from it, or say so. */
export function leading(first: FailureEvent | undefined, next: FailureEvent): FailureEvent {
  return first && (!first.follows || next.follows) ? first : next;
}

/** What the failure of a process means for its job. */
export function failed({ code, rank, message, hint }: FailureEvent): Failed {
  const named = rank === undefined ? message : phrase`rank ${rank}: ${message}`;
  return { type: "failed", code, message: named, ...(hint !== undefined && { hint }) };
}

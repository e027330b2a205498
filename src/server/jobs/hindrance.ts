/** What keeps a job from running though nothing is wrong with it: it is paused, with the reason. */
import { type DiskFault, diskFault } from "../../files/disk_error.ts";
import { formatBytes } from "../../text.ts";
import { ApiError } from "../api_error.ts";
import type { HindranceCode } from "../store/records.ts";

/** A job that cannot run now. */
export interface Hindered {
  readonly type: "hindered";
  readonly code: HindranceCode;
  /** Says what would be right. */
  readonly reason: string;
}

/** A model, a file or a process that is not to be had now. In answer to a request, a 503. */
export class Hindrance extends ApiError {
  /** `reason` says what would be right. */
  constructor(reason: string) {
    super(503, { message: reason, type: "server_error", code: "unavailable" });
  }
}

/** What an error keeps a job from; undefined if it is a fault of the job or the server. */
export function hindranceOf(error: unknown): Hindered | undefined {
  if (error instanceof Hindrance) {
    return { type: "hindered", code: "unavailable", reason: error.message };
  }
  const fault = diskFault(error);
  return fault && hinderedByDisk(fault, (error as Error).message);
}

/** By the disk of the data folder. `message` is the system's or SQLite's. */
export function hinderedByDisk(code: DiskFault, message: string): Hindered {
  const advice = code === "disk_full"
    ? "delete files or models, or make room on the disk"
    : "see to the data folder's disk";
  return { type: "hindered", code, reason: `${message}: ${advice}, then resume the job` };
}

/** A data folder without room for the `needed` bytes of a job, if they are known. */
export function noRoom(free: number, needed?: number): Hindered {
  const need = needed === undefined ? "" : `, the job needs ${formatBytes(needed)}`;
  const reason = `the data folder may take ${formatBytes(free)} more${need}: ` +
    "delete files or models, or raise the quota, then resume the job";
  return { type: "hindered", code: "disk_full", reason };
}

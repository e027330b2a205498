/** What keeps a job from running though nothing is wrong with it: it is paused, with the reason. */
import { type DiskFault, diskFault } from "../../files/disk_error.ts";
import { ApiError } from "../api_error.ts";

/** A model, a file or a process that is not to be had now. In answer to a request, a 503. */
export class Hindrance extends ApiError {
  /** `reason` says what would be right. */
  constructor(reason: string) {
    super(503, { message: reason, type: "server_error", code: "unavailable" });
  }
}

/** Why an error keeps a job from running; undefined if it is a fault of the job or the server. */
export function hindranceOf(error: unknown): string | undefined {
  if (error instanceof Hindrance) return error.message;
  const fault = diskFault(error);
  return fault && diskReason(fault, (error as Error).message);
}

/** For a job that the disk of the data folder hinders. `message` is the system's or SQLite's. */
export function diskReason(fault: DiskFault, message: string): string {
  return fault === "disk_full"
    ? `${message}: delete files or models, or make room on the disk, then resume the job`
    : `${message}: see to the data folder's disk, then resume the job`;
}

/** What is asked of a job, or of the server, that cannot be. */
import { counted } from "../../text.ts";
import { ApiError } from "../api_error.ts";
import { findLauncher } from "../processes/find_launcher.ts";
import type { JobRecord } from "../store/records.ts";
import { Hindrance } from "./hindrance.ts";

/** 409 for a job that does not wait for a worker, whatever that was offered. */
export function notWaiting({ id, status }: JobRecord): ApiError {
  return new ApiError(409, { message: `Job ${id} is ${status}`, code: "job_not_waiting" });
}

export function tooLate(what: string, { id, status }: JobRecord): ApiError {
  return new ApiError(400, {
    message: `Job ${id} cannot be ${what}: its status is ${status}`,
    code: "invalid_job_status",
  });
}

/** What keeps a job of so many processes from running on so many workers, if anything does. */
export function hindranceTo(
  ranks: number,
  workers: number,
  launcher: () => unknown = findLauncher,
): Hindrance | undefined {
  if (ranks > workers) {
    return new Hindrance(
      `The job has ${ranks} processes, and the server was started with ${
        counted(workers, "worker")
      }: start it with more, then resume the job`,
    );
  }
  try {
    if (ranks > 1) launcher();
  } catch (error) {
    return new Hindrance(`${(error as Error).message}; then resume the job`);
  }
}

/** Errors of a disk that is written to: it is full, read-only, failing, or away. */
import type { Phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";

/** A disk cannot take a file; existing files are unchanged. */
export class DiskError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name: string = "DiskError";
}

/** The disk has no room for a file; existing files are unchanged. */
export class DiskFullError extends DiskError {
  /** As it appears in a stack trace. */
  override readonly name = "DiskFullError";
}

const DISK_FAULTS = ["disk_full", "disk_error"] as const;
export type DiskFault = typeof DISK_FAULTS[number];

/** Whether the code of a failure is the disk's. */
export function isDiskFault(code: string | undefined): code is DiskFault {
  return DISK_FAULTS.some((each) => each === code);
}

/** No room, the user's share is used up, or the largest file that the process may write is reached. */
const FULL: readonly unknown[] = ["ENOSPC", "EDQUOT", "EFBIG"];
/** The same by number, because Deno has no names for some. */
const FULL_NUMBERS: Readonly<Record<string, readonly number[]>> = {
  linux: [28, 122, 27],
  darwin: [28, 69, 27],
  windows: [112, 39],
};

/**
 * Whether an error is the disk's rather than the program's: any error of the operating system
 * (ENOSPC, EIO, EROFS; ENOENT where a folder has been taken away). Undefined for others.
 */
export function diskFault(error: unknown): DiskFault | undefined {
  if (error instanceof DiskError) {
    return error instanceof DiskFullError ? "disk_full" : "disk_error";
  }
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  // Not Node's own codes (`ERR_…`), nor the number of an abort.
  const named = typeof code === "string" && /^E[A-Z0-9]+$/.test(code);
  const [, number] = /\(os error (\d+)\)/.exec(String(message)) ?? [];
  if (error instanceof UserError || !(named || number)) return undefined;
  const full = FULL.includes(code) || FULL_NUMBERS[Deno.build.os]?.includes(Number(number));
  return full ? "disk_full" : "disk_error";
}

/** What to add to the message of an error of the disk. */
export interface WriteErrorDetails {
  /** Follows the message. */
  readonly lost?: string;
  /** How to make room. */
  readonly hint?: Phrase;
}

export const MAKE_ROOM = "free some space";

/** Turns disk errors into one message; other errors, such as the GPU's, are unchanged. */
export function explainWriteError(
  error: unknown,
  path: string,
  { lost = "", hint = MAKE_ROOM }: WriteErrorDetails = {},
): unknown {
  if (error instanceof UserError) return error;
  const fault = diskFault(error);
  if (!fault) return error;
  const text = `cannot write ${path}: ${(error as Error).message}${lost}`;
  return fault === "disk_full" ? new DiskFullError(text, hint) : new DiskError(text);
}

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

export type DiskFault = "disk_full" | "disk_error";

/** No room, the user's share is used up, or the largest file that the process may write is reached. */
const FULL: readonly unknown[] = ["ENOSPC", "EDQUOT", "EFBIG"];

/**
 * Whether an error is the disk's rather than the program's: any error of the operating system
 * (ENOSPC, EIO, EROFS; ENOENT where a folder has been taken away). Undefined for others.
 */
export function diskFault(error: unknown): DiskFault | undefined {
  const code = systemCode(error);
  if (error instanceof DiskFullError || FULL.includes(code)) return "disk_full";
  if (error instanceof DiskError || code !== undefined) return "disk_error";
}

/** `ENOSPC`; not Node's own codes (`ERR_…`), nor the number of an abort. */
function systemCode(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
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

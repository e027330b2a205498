/** Atomic file writes: to a temporary file, which is synced and renamed. */
import { dirname } from "../packages/std_path.ts";
import { UserError } from "../options/user_error.ts";
import type { Phrase } from "../options/phrase.ts";
import { formatBytes } from "../text.ts";
import { freeBytes } from "./stat.ts";

/**
 * Calls `write` with a temporary file in the folder of `path`, then syncs and renames it. If
 * `write` throws, the temporary file is removed and `path` is unchanged. Disk errors are {@link
 * UserError}s.
 */
export async function writeAtomically(
  path: string,
  write: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${Deno.pid}.tmp`;
  try {
    const file = await Deno.open(temporary, { write: true, create: true, truncate: true });
    try {
      await write(file);
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // report the first error
    throw explainWriteError(error, path);
  }
  await syncFolder(dirname(path));
}

const MAKE_ROOM = "free some space";

/** The disk has no room for a file; existing files are unchanged. */
export class DiskFullError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name = "DiskFullError";
}

/** What to add to the message of an error of the disk. */
export interface WriteErrorDetails {
  /** Follows the message. */
  readonly lost?: string;
  /** How to make room. */
  readonly hint?: Phrase;
}

/** Throws a {@link DiskFullError} if the disk lacks the room for that many bytes at `path`. */
export async function assertSpace(
  path: string,
  bytes: number,
  { lost = "", hint = MAKE_ROOM }: WriteErrorDetails = {},
): Promise<void> {
  const free = await freeBytes(dirname(path));
  if (free === undefined || free >= bytes) return;
  throw new DiskFullError(
    `cannot write ${path}: it needs ${formatBytes(bytes)}, but ${formatBytes(free)} of the disk ` +
      `are free: ${formatBytes(bytes - free)} are missing${lost}`,
    hint,
  );
}

/** Whether the system reported that the disk or the user's quota is full. */
export function isDiskFull(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return error instanceof DiskFullError || ["ENOSPC", "EDQUOT", "EFBIG"].includes(code as string);
}

/** Turns disk errors into one message; other errors, such as the GPU's, are unchanged. */
export function explainWriteError(
  error: unknown,
  path: string,
  { lost = "", hint = MAKE_ROOM }: WriteErrorDetails = {},
): unknown {
  const { code, message } = error as Error & { code?: unknown };
  // The code of an abort is a number.
  if (error instanceof UserError || typeof code !== "string") return error;
  const text = `cannot write ${path}: ${message}${lost}`;
  return isDiskFull(error) ? new DiskFullError(text, hint) : new UserError(text);
}

/** Makes a rename durable. Windows cannot open a folder, and its file system needs no such step. */
export async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  const folder = await Deno.open(path);
  try {
    await folder.sync();
  } finally {
    folder.close();
  }
}

/** Writes a JSON file with a final newline, atomically. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(value, null, 2) + "\n");
  await writeAtomically(path, (file) => writeAll(file, bytes));
}

export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await file.write(bytes.subarray(written));
}

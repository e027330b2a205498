/** Files that are either whole or not there: written beside, synced, renamed. */
import { dirname } from "@std/path";
import { UserError } from "../options/user_error.ts";
import type { Phrase } from "../options/phrase.ts";

/**
 * Calls `write` with a temporary file in the folder of `path`, then syncs and renames it. When
 * `write` throws, the temporary file is removed and what was at `path` before stays as it was. A
 * fault of the disk is a {@link UserError}.
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
    await Deno.remove(temporary).catch(() => {}); // the first error is the one to tell
    throw explainWriteError(error, path);
  }
  await syncFolder(dirname(path));
}

/** There is no room for what was to be written; what was there before is untouched. */
export class DiskFullError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name = "DiskFullError";
}

/** Whether the system said that the disk, or what a user may take of it, is full. */
export function isDiskFull(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return error instanceof DiskFullError || ["ENOSPC", "EDQUOT", "EFBIG"].includes(code as string);
}

/** Faults of the disk become one message; any other error, such as the GPU's, stays what it is. */
export function explainWriteError(
  error: unknown,
  path: string,
  { lost = "", hint = "free some space" }: { readonly lost?: string; readonly hint?: Phrase } = {},
): unknown {
  const { code, message } = error as Error & { code?: unknown };
  // Of an abort it is a number.
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

/** A JSON file with a final newline, written as above. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(value, null, 2) + "\n");
  await writeAtomically(path, (file) => writeAll(file, bytes));
}

export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await file.write(bytes.subarray(written));
}

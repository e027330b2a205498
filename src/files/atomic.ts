/** Atomic file writes: to a temporary file, which is synced and renamed. */
import { dirname } from "../packages/std_path.ts";
import { formatBytes } from "../text.ts";
import {
  DiskFullError,
  explainWriteError,
  MAKE_ROOM,
  type WriteErrorDetails,
} from "./disk_error.ts";
import { freeBytes } from "./stat.ts";

/**
 * Calls `write` with a temporary file in the folder of `path`, then syncs and renames it. If
 * `write` throws, the temporary file is removed and `path` is unchanged. Disk errors are
 * {@link DiskError}s.
 */
export async function writeAtomically(
  path: string,
  write: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  // Of one name each: several may write to the same path at the same time, also in one process.
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
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
  await writeText(path, JSON.stringify(value, null, 2) + "\n");
}

/** Writes a text file, atomically. */
export async function writeText(path: string, text: string): Promise<void> {
  await writeBytes(path, new TextEncoder().encode(text));
}

/** Writes a file, atomically. */
export async function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  await writeAtomically(path, (file) => writeAll(file, bytes));
}

export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await file.write(bytes.subarray(written));
}

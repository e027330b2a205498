/** What is at a path. Whatever may not be looked at is reported, and not taken for absent. */
import { statfs } from "node:fs/promises";

/** As `Deno.stat`; undefined if nothing is there. */
export async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (isForbidden(error)) throw error;
  }
}

/** Bytes free on the disk of a folder; undefined on systems that do not say. */
export async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    if (isForbidden(error)) throw error;
  }
}

/** Whether anything is there. */
export async function isThere(path: string): Promise<boolean> {
  return await statOf(path) !== undefined;
}

/** Whether Deno's permissions, or the system's, were the obstacle. */
export function isForbidden(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied;
}

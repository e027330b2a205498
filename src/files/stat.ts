/** What is at a path. Whatever may not be looked at is reported, and not taken for absent. */
import { statfs } from "node:fs/promises";
import { UserError } from "../options/user_error.ts";

/**
 * As `Deno.stat`; undefined if nothing is there. Throws a {@link UserError} where the system does
 * not let this user look.
 */
export async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new UserError(
        `${path}: permission denied`,
        "the folders around it must let this user in: who owns them?",
      );
    }
  }
}

/** Whether anything is there. */
export async function isThere(path: string): Promise<boolean> {
  return await statOf(path) !== undefined;
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

/** Whether Deno's permissions, or the system's, were the obstacle. */
export function isForbidden(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied;
}

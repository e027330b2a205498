/** Removes what may be gone already: by an earlier attempt, or by another process. */

/** A file, or a folder with all in it. Throws on what cannot be removed, not where nothing is. */
export async function removeAll(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

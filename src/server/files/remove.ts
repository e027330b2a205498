/** Removes a file. */
import type { FileRecord } from "../store/records.ts";
import type { Services } from "../services.ts";

/** Removes the record, then the bytes: if it crashes in between, the next start finishes. */
export async function removeFile(
  file: FileRecord,
  { store, storage }: Pick<Services, "store" | "storage">,
): Promise<void> {
  if (!store.files.delete(file.id)) return;
  const path = storage.filePath(file);
  try {
    await Deno.remove(path);
    storage.account(-file.bytes);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

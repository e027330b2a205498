/** Removes a file. */
import { diskFault } from "../../files/disk_error.ts";
import { DELETED } from "../store/file_kinds.ts";
import type { FileRecord } from "../store/records.ts";
import type { Services } from "../services.ts";

type Parts = Pick<Services, "store" | "storage">;

/** Removes the record, then the bytes: if it crashes in between, the next start finishes. */
export async function removeFile(file: FileRecord, parts: Parts): Promise<void> {
  const { store, storage } = parts;
  try {
    if (!store.files.delete(file.id)) return;
  } catch (error) {
    if (!diskFault(error)) throw error;
    return await removeBytesFirst(file, parts);
  }
  const path = storage.filePath(file);
  try {
    await Deno.remove(path);
    storage.account(-file.bytes);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * For a disk too full to delete a record. What remains of the bytes until the record is gone is an
 * empty file, by whose name a start after a crash deletes the record as well.
 */
async function removeBytesFirst(file: FileRecord, { store, storage }: Parts): Promise<void> {
  const path = storage.filePath(file), mark = path + DELETED;
  try {
    await Deno.rename(path, mark);
    await Deno.truncate(mark);
    storage.account(-file.bytes);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  finishDeletion(file.id, mark, store);
}

/** Deletes the record of a file that has no bytes any more, as soon as the disk takes it. */
export function finishDeletion(id: string, mark: string, store: Parts["store"]): void {
  store.files.holdDeletion(id, () => {
    store.files.delete(id);
    // One that stays is removed by the next start.
    store.afterCommit(() => void Deno.remove(mark).catch(() => {}));
  });
  store.held.attempt();
}

/** Writes to a file in the background, while the next bytes are being made. */
import { writeAll } from "./atomic.ts";

/** Smaller pieces are gathered, for the system's sake. */
const GATHERED_BYTES = 1 << 20;

/** What waits to be written before more is taken: enough that the disk is never idle. */
const WAITING_BYTES = 8 << 20;

/**
 * Appends bytes, which must not change until `written` is called; waits where the disk is behind.
 */
export type Write = (bytes: Uint8Array, written?: () => void) => Promise<void>;

/**
 * Calls `make` with a function that writes to the file; when it returns, all is written. An error of
 * the disk is thrown by a later write, or in the end.
 */
export async function writeBehind(
  file: Deno.FsFile,
  make: (write: Write) => Promise<void>,
): Promise<void> {
  let gathered = new Uint8Array(GATHERED_BYTES), filled = 0, waiting = 0;
  let writes: Promise<void> = Promise.resolve();
  const begun: Promise<void>[] = [];
  const begin = (bytes: Uint8Array, written?: () => void) => {
    waiting += bytes.length;
    writes = writes.then(async () => {
      await writeAll(file, bytes);
      waiting -= bytes.length;
      begun.shift();
      written?.();
    });
    // Reported by what waits for it.
    writes.catch(() => {});
    begun.push(writes);
  };
  const flush = () => {
    if (!filled) return;
    begin(gathered.subarray(0, filled));
    [gathered, filled] = [new Uint8Array(GATHERED_BYTES), 0];
  };
  const write = async (bytes: Uint8Array, written?: () => void) => {
    if (filled + bytes.length > GATHERED_BYTES) flush();
    if (bytes.length < GATHERED_BYTES) {
      gathered.set(bytes, filled);
      filled += bytes.length;
      written?.();
    } else {
      begin(bytes, written);
    }
    while (waiting > WAITING_BYTES) await begun[0];
  };
  try {
    await make(write);
    flush();
    await writes;
  } catch (error) {
    // The file must not be closed under a write; of several errors the first is reported.
    await writes.catch(() => {});
    throw error;
  }
}

/** Recovers the events of a run whose server was killed. */
import { join } from "../../packages/std_path.ts";
import { readJsonLines } from "../processes/lines.ts";
import { JOURNAL_FILE, LOCK_FILE, type WorkerEvent } from "../worker/protocol.ts";

const POLL_MS = 100;
/** Events processed before yielding to other work. */
const BATCH = 200;

/**
 * Resolves when no process writes to the folder any more: after its server was killed, a process
 * still finishes its step and saves. Returns early if `stopped` does.
 */
export async function untilFree(folder: string, stopped: () => boolean): Promise<void> {
  using lock = await Deno.open(join(folder, LOCK_FILE), { write: true, create: true });
  while (!stopped()) {
    if (await lock.tryLock(true)) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * Passes on every event in the folder's journal, and empties it once `kept` resolves, so that a
 * power failure loses none.
 */
export async function recoverJournal(
  folder: string,
  handle: (event: WorkerEvent) => Promise<void>,
  kept: () => Promise<void>,
): Promise<void> {
  const path = join(folder, JOURNAL_FILE);
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  let count = 0;
  for await (const event of readJsonLines<WorkerEvent>(file.readable)) {
    await handle(event);
    if (++count % BATCH === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  await kept();
  await Deno.remove(path);
}

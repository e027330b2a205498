/** Text that an interruption ends. */
import type { Io } from "./command.ts";

/** Text written before an interruption is still a result. */
export async function untilInterrupted(io: Io, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!io.signal.aborted) throw error;
  }
}

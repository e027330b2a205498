/** Where the bytes of an upload go. */
import { writeAll } from "../../files/atomic.ts";

export interface Sink {
  /** All of them. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when they would survive a power failure. */
  sync(): Promise<void>;
  close(): void;
}

/** Creates a file that only the server's user may read. */
export async function openSink(path: string): Promise<Sink> {
  const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  return {
    write: (bytes) => writeAll(file, bytes),
    sync: () => file.sync(),
    close: () => file.close(),
  };
}

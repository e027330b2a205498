/**
 * Flushes SQLite's write-ahead log to disk without blocking the event loop.
 *
 * With `synchronous=NORMAL` a commit is in the log file immediately, where it survives a crash of
 * this process, but not yet on disk, where it would survive a power failure. SQLite's own solution
 * is a flush within each commit (`FULL`), which blocks everything for as long as the disk takes:
 * seconds, while a checkpoint of several GB is being written. Here only callers that are about to
 * report something wait for the flush, the event loop does not, and one flush serves all of them.
 *
 * SQLite locks the database and its `-shm`, not the log, so closing a second handle on the log is
 * harmless.
 *
 * @module
 */
import { DiskError } from "../../files/disk_error.ts";

export class WalSync {
  #file: Deno.FsFile | undefined;
  /** The flush in progress, and the one that follows it. */
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #closed = false;

  /** For the database at `path`, which must be open. One in memory has no log. */
  constructor(readonly path: string) {}

  /** Resolves when everything committed before this call is on the disk. */
  sync(): Promise<void> {
    if (this.path === ":memory:" || this.#closed) return Promise.resolve();
    // A flush in progress may have started before the caller's commit.
    if (this.#running) return this.#next ??= this.#running.then(() => this.#start());
    return this.#start();
  }

  #start(): Promise<void> {
    this.#next = undefined;
    if (this.#closed) return Promise.resolve();
    return this.#running = this.#flush().finally(() => {
      this.#running = undefined;
      if (this.#closed) this.#file?.close();
    });
  }

  async #flush(): Promise<void> {
    const path = `${this.path}-wal`;
    // Opened only now: SQLite makes it with the first write.
    const file = this.#file ??= Deno.openSync(path, { read: true });
    await file.syncData();
    if (this.#closed) return;
    // SQLite still writes to a log that someone has deleted: that is no place to keep anything.
    const [open, there] = await Promise.all([file.stat(), Deno.stat(path)]);
    if (open.ino !== there.ino) throw new DiskError(`${path} is no longer the log of the database`);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#running) this.#file?.close();
  }
}

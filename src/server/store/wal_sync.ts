/**
 * Flushes SQLite's write-ahead log to the disk beside the event loop.
 *
 * With `synchronous=NORMAL` a commit is in the log file at once, where it outlives this process,
 * but not yet on the disk, where it would outlive a power cut. SQLite's own answer is a flush
 * within each commit (`FULL`), which stops everything for as long as the disk likes: seconds, while
 * a checkpoint of some GB is being written. Here whoever is about to tell the world of something
 * waits for the flush, the event loop does not, and one flush serves all who wait.
 *
 * SQLite holds its locks on the database and its `-shm`, none on the log: a second handle on that
 * does no harm when it is closed.
 *
 * @module
 */
export class WalSync {
  readonly #file: Deno.FsFile | undefined;
  /** The flush that runs, and the one that will follow it. */
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #closed = false;

  /** Of the database at `path`, which is open and has been written to; none of one in memory. */
  constructor(path: string) {
    this.#file = path === ":memory:" ? undefined : Deno.openSync(`${path}-wal`, { read: true });
  }

  /** Resolves when everything committed before this call is on the disk. */
  sync(): Promise<void> {
    if (!this.#file || this.#closed) return Promise.resolve();
    // A flush under way may have begun before the caller's commit.
    if (this.#running) return this.#next ??= this.#running.then(() => this.#start());
    return this.#start();
  }

  #start(): Promise<void> {
    this.#next = undefined;
    if (this.#closed) return Promise.resolve();
    return this.#running = this.#file!.syncData().finally(() => {
      this.#running = undefined;
      if (this.#closed) this.#file!.close();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#running) this.#file?.close();
  }
}

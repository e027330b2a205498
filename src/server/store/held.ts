/**
 * Writes that the disk could not take. What they say has happened all the same (a process has ended,
 * a file is gone), so readers see it at once; they are tried again until the disk takes them.
 */

const INTERVAL_MS = 1000;

export class Held {
  #writes: (() => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Writes are made by `transaction`, all or none. */
  constructor(readonly transaction: (fn: () => void) => void) {}

  /** Tried from now on, in the order of these calls. */
  add(write: () => void): void {
    this.#writes.push(write);
    this.#timer ??= this.#later();
  }

  /** Writes everything; throws if that is still not possible. */
  flush(): void {
    if (!this.#writes.length) return;
    const writes = this.#writes;
    this.transaction(() => writes.forEach((write) => write()));
    this.#writes = [];
    this.close();
  }

  /** Writes everything if that is possible by now. */
  attempt(): boolean {
    try {
      this.flush();
      return true;
    } catch {
      return false;
    }
  }

  /** Ends the attempts. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #later() {
    const timer = setTimeout(() => {
      this.#timer = undefined;
      if (!this.attempt()) this.#timer = this.#later();
    }, INTERVAL_MS);
    Deno.unrefTimer(timer);
    return timer;
  }
}

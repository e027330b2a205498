/**
 * Writes that the disk could not take. What they say has happened all the same (a process has ended,
 * a file is gone), so readers see it at once; they are tried again until the disk takes them.
 */
import { diskFault } from "../../files/disk_error.ts";

const INTERVAL_MS = 1000;

interface HeldWrite {
  /** An id: writes about one thing are made together, in their order. */
  readonly about: string;
  readonly write: () => void;
}

export class Held {
  #writes: HeldWrite[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What a fault that is not the disk's keeps from being written. */
  readonly #faulty = new Set<string>();

  /**
   * @param transaction makes all writes of a function, or none
   * @param onFault called once with each id about which a write fails for another reason than the
   *   disk: it is tried again like all others, but may never succeed
   */
  constructor(
    readonly transaction: (fn: () => void) => void,
    readonly onFault: (error: unknown, about: string) => void,
  ) {}

  /** Tried from now on, in the order of these calls. */
  add(about: string, write: () => void): void {
    this.#writes.push({ about, write });
    this.#timer ??= this.#later();
  }

  /**
   * Makes all writes. Throws if the disk still does not take them, or if those about `about` fail for
   * another reason; no other write is kept back by such a one.
   */
  flush(about?: string): void {
    if (!this.#writes.length) return;
    try {
      this.#make(this.#writes);
    } catch (error) {
      if (diskFault(error)) throw error;
      this.#makeEach(about);
    }
    if (!this.#writes.length) this.close();
  }

  /** Makes all writes if that is possible by now; returns whether none is left. */
  attempt(): boolean {
    try {
      this.flush();
    } catch {
      // The disk still takes none: the timer tries again.
    }
    return this.#writes.length === 0;
  }

  /** Ends the attempts. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #make(writes: readonly HeldWrite[]): void {
    this.transaction(() => writes.forEach(({ write }) => write()));
    this.#writes = this.#writes.filter((each) => !writes.includes(each));
    for (const { about } of writes) this.#faulty.delete(about);
  }

  #makeEach(wanted: string | undefined): void {
    const faults = new Map<string, unknown>();
    for (const [about, writes] of Map.groupBy(this.#writes, ({ about }) => about)) {
      try {
        this.#make(writes);
      } catch (error) {
        if (diskFault(error)) throw error;
        faults.set(about, error);
        if (!this.#faulty.has(about)) this.onFault(error, about);
        this.#faulty.add(about);
      }
    }
    if (wanted !== undefined && faults.has(wanted)) throw faults.get(wanted);
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

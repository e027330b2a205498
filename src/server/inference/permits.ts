/** A counting semaphore: one side adds permits, the other takes them. */
export class Permits {
  #free = 0;
  #waiting: (() => void) | undefined;

  add(): void {
    this.#free++;
    this.#waiting?.();
  }

  /** Takes a permit once available. Throws the signal's reason if it aborts first. */
  async take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#free === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = this.#waiting = () => resolve();
      signal.addEventListener("abort", wake);
      await promise;
      signal.removeEventListener("abort", wake);
      signal.throwIfAborted();
    }
    this.#free--;
  }
}

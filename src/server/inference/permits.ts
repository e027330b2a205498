/** Permission for so many things, given by one side and used up by the other. */
export class Permits {
  #free = 0;
  #waiting: (() => void) | undefined;

  add(): void {
    this.#free++;
    this.#waiting?.();
  }

  /** Uses one up, as soon as there is one. Throws the signal's reason when it is aborted first. */
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

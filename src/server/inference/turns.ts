/** One at a time, first come, first served; those who wait may leave, and there is room for so many. */
import { ApiError } from "../api_error.ts";

/** Seconds. Nobody knows how long the answers before this one will be. */
const RETRY_AFTER = "10";

interface Waiting {
  readonly begin: () => void;
  readonly fail: (error: unknown) => void;
}

export class Turns {
  #taken = false;
  #closed: ApiError | undefined;
  readonly #waiting: Waiting[] = [];

  /** @param room how many may wait */
  constructor(readonly room: number) {}

  /** Nobody has the turn or waits for it. */
  get idle(): boolean {
    return !this.#taken && this.#waiting.length === 0;
  }

  /**
   * Resolves to what ends the turn, to be called once; the signal may just have been aborted. Rejects with the signal's reason, with an
   * ApiError 429 where too many wait, and with that of {@link close}.
   */
  async take(signal?: AbortSignal): Promise<() => void> {
    if (this.#waiting.length >= this.room && this.#taken) {
      throw new ApiError(429, {
        message: `${this.room} requests wait for an answer already: try again later`,
        type: "rate_limit_error",
        code: "too_many_requests",
        headers: { "retry-after": RETRY_AFTER },
      });
    }
    return await this.#take((waiting) => this.#waiting.push(waiting), signal);
  }

  /** The same before all that wait, however many they are. */
  async takeNext(): Promise<() => void> {
    return await this.#take((waiting) => this.#waiting.unshift(waiting));
  }

  /** From now on all who wait or ask are given this error. */
  close(error: ApiError): void {
    this.#closed = error;
    for (const { fail } of this.#waiting.splice(0)) fail(error);
  }

  /** Throws what {@link close} was given. */
  check(): void {
    if (this.#closed) throw this.#closed;
  }

  async #take(line: (waiting: Waiting) => void, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    this.check();
    if (this.#taken) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const waiting = { begin: resolve, fail: reject };
      const leave = () => {
        const at = this.#waiting.indexOf(waiting);
        // Otherwise it has just begun: whoever took the turn sees to the signal.
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(signal!.reason);
      };
      line(waiting);
      signal?.addEventListener("abort", leave, { once: true });
      await promise.finally(() => signal?.removeEventListener("abort", leave));
    }
    this.#taken = true;
    return () => this.#end();
  }

  #end(): void {
    const next = this.#waiting.shift();
    // The turn is handed on, not given back: nobody else can come between.
    if (next) next.begin();
    else this.#taken = false;
  }
}

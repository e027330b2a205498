/** A fair mutex with a bounded queue, whose waiters can give up. */
import { ApiError } from "../api_error.ts";

/** Weight of the latest turn in the mean length of turns. */
const LATEST = 0.3;

interface Waiting {
  readonly begin: () => void;
  readonly fail: (error: unknown) => void;
}

export class Turns {
  #taken = false;
  #closed: ApiError | undefined;
  readonly #waiting: Waiting[] = [];
  /** When the present turn began, in milliseconds of the clock. */
  #began = 0;
  /** How long recent turns took, in milliseconds. */
  #mean: number | undefined;

  /**
   * @param room most waiters
   * @param now a monotonic clock, in milliseconds
   */
  constructor(readonly room: number, readonly now: () => number = () => performance.now()) {}

  /** Whether nobody has or awaits the turn. */
  get idle(): boolean {
    return !this.#taken && this.#waiting.length === 0;
  }

  /**
   * Resolves to the function that ends the turn, to be called once; the signal may just have
   * aborted. Rejects with the signal's reason, with an ApiError 429 if too many are waiting, or
   * with the error of {@link close}.
   */
  async take(signal?: AbortSignal): Promise<() => void> {
    if (this.#waiting.length >= this.room && this.#taken) throw this.#full();
    return this.#measured(await this.#take((waiting) => this.#waiting.push(waiting), signal));
  }

  /** Like {@link take}, but ahead of all waiters and without a limit. */
  async takeNext(): Promise<() => void> {
    return await this.#take((waiting) => this.#waiting.unshift(waiting));
  }

  /** Rejects all present and future waiters with this error. */
  close(error: ApiError): void {
    this.#closed = error;
    for (const { fail } of this.#waiting.splice(0)) fail(error);
  }

  /** Throws the error of {@link close}, if closed. */
  check(): void {
    if (this.#closed) throw this.#closed;
  }

  #measured(end: () => void): () => void {
    const began = this.#began;
    return () => {
      const took = this.now() - began;
      this.#mean = this.#mean === undefined ? took : this.#mean + LATEST * (took - this.#mean);
      end();
    };
  }

  /** 429, with the time until a place is likely to be free: when the present turn ends. */
  #full(): ApiError {
    const since = this.now() - this.#began;
    // One that takes longer than most, or the very first, may take as long again.
    const left = this.#mean !== undefined && this.#mean > since ? this.#mean - since : since;
    const seconds = Math.max(1, Math.ceil(left / 1000));
    return new ApiError(429, {
      message:
        `${this.room} requests are already waiting for an answer, the server's max_waiting: ` +
        `try again in ${seconds} s`,
      type: "rate_limit_error",
      code: "too_many_requests",
      headers: { "retry-after": String(seconds) },
    });
  }

  async #take(line: (waiting: Waiting) => void, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    this.check();
    if (this.#taken) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const waiting = { begin: resolve, fail: reject };
      const abandon = () => {
        const at = this.#waiting.indexOf(waiting);
        // Otherwise the turn has just begun, and its holder handles the signal.
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(signal!.reason);
      };
      line(waiting);
      signal?.addEventListener("abort", abandon, { once: true });
      await promise.finally(() => signal?.removeEventListener("abort", abandon));
    }
    this.#taken = true;
    this.#began = this.now();
    return () => this.#end();
  }

  #end(): void {
    const next = this.#waiting.shift();
    // The turn is passed on directly, so that nobody else can get in between.
    if (next) next.begin();
    else this.#taken = false;
  }
}

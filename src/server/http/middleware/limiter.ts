/** Counts of what each client did within a minute, by a clock that nobody sets. */

interface Window {
  count: number;
  /** Milliseconds of the clock. */
  readonly ends: number;
}

export class RateLimiter {
  /** In the order in which they end, because all are of one length. */
  readonly #windows = new Map<string, Window>();

  /** @param now a monotonic clock, in milliseconds */
  constructor(
    /** Most per client within a window. */
    readonly most: number,
    readonly windowMs = 60_000,
    readonly now: () => number = () => performance.now(),
  ) {}

  /** Counts one. Returns undefined if that is allowed, otherwise the milliseconds to wait. */
  count(client: string): number | undefined {
    const now = this.now();
    for (const [each, { ends }] of this.#windows) {
      if (ends > now) break;
      this.#windows.delete(each);
    }
    let window = this.#windows.get(client);
    if (!window) this.#windows.set(client, window = { count: 0, ends: now + this.windowMs });
    return ++window.count > this.most ? window.ends - now : undefined;
  }

  /** Number of clients remembered. */
  get size(): number {
    return this.#windows.size;
  }
}

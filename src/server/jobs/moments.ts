/** What the running job does at the moment, for whoever subscribes; never stored. */
import type { Activity, Preparation } from "../services.ts";

/** One of them at most. */
export interface Moment {
  /** Before the first step. */
  readonly preparation?: Preparation;
  /** From then on. */
  readonly activity?: Activity;
}

export class Moments {
  readonly #moments = new Map<string, Moment>();
  readonly #listeners = new Set<() => void>();

  of(jobId: string): Moment | undefined {
    return this.#moments.get(jobId);
  }

  /** Undefined when the job no longer runs. */
  set(jobId: string, moment: Moment | undefined): void {
    if (moment) this.#moments.set(jobId, moment);
    else if (!this.#moments.delete(jobId)) return;
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** Job events: stored, then passed to subscribers. */
import type { EventRecord, NewEvent } from "../store/records.ts";
import type { EventLog } from "../services.ts";
import type { Store } from "../store/store.ts";
import { unixSeconds } from "../store/unix_seconds.ts";

export class StoredEventLog implements EventLog {
  readonly #store: Store;
  readonly #onFault: (error: unknown) => void;
  readonly #listeners = new Set<(event: EventRecord) => void>();

  /**
   * `onFault` is called for listeners that throw; the others still receive the event. Without it
   * `append` throws.
   */
  constructor(store: Store, onFault: (error: unknown) => void = rethrow) {
    this.#store = store;
    this.#onFault = onFault;
  }

  append(jobId: string, event: NewEvent): EventRecord | undefined {
    const record = this.#store.events.append(jobId, event, unixSeconds());
    if (record) this.#store.afterCommit(() => this.#notify(record));
    return record;
  }

  #notify(record: EventRecord): void {
    for (const listener of this.#listeners) {
      try {
        listener(record);
      } catch (error) {
        this.#onFault(error);
      }
    }
  }

  subscribe(listener: (event: EventRecord) => void): () => void {
    // A new function, so that a listener that subscribes twice is called twice.
    const own = (event: EventRecord) => listener(event);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }
}

function rethrow(error: unknown): never {
  throw error;
}

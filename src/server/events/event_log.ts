/** What is told of jobs: kept in the store, then handed on. */
import type { EventRecord, NewEvent } from "../store/records.ts";
import type { EventLog } from "../services.ts";
import type { Store } from "../store/store.ts";
import { unixSeconds } from "../store/unix_seconds.ts";

export class StoredEventLog implements EventLog {
  readonly #store: Store;
  readonly #onFault: (error: unknown) => void;
  readonly #listeners = new Set<(event: EventRecord) => void>();

  /** `onFault` hears of listeners that throw; the others are told of the event all the same. */
  constructor(store: Store, onFault: (error: unknown) => void = console.error) {
    this.#store = store;
    this.#onFault = onFault;
  }

  append(jobId: string, event: NewEvent): EventRecord | undefined {
    const record = this.#store.events.append(jobId, event, unixSeconds());
    if (!record) return undefined;
    for (const listener of this.#listeners) {
      try {
        listener(record);
      } catch (error) {
        this.#onFault(error);
      }
    }
    return record;
  }

  subscribe(listener: (event: EventRecord) => void): () => void {
    // Of its own, so that a function that subscribes twice is called twice.
    const own = (event: EventRecord) => listener(event);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }
}

/** The workers of the server's own machine: each runs one job at a time. */
import type { JobPlace } from "../store/records.ts";

export class Slots {
  readonly #free: JobPlace[];

  /** `count` workers with cards of this name. */
  constructor(count: number, card: string) {
    this.#free = Array.from({ length: count }, (_, index) => ({
      worker: `server-${index + 1}`,
      card,
    }));
    this.all = [...this.#free];
  }

  /** In order. */
  readonly all: readonly JobPlace[];

  get isFree(): boolean {
    return this.#free.length > 0;
  }

  /** The first that is free. Throws if none is. */
  take(): JobPlace {
    const place = this.#free.shift();
    if (!place) throw new Error("Slots.take: none is free");
    return place;
  }

  /** So that the next job again has the first that is free. */
  giveBack(place: JobPlace): void {
    this.#free.push(place);
    this.#free.sort((a, b) => this.all.indexOf(a) - this.all.indexOf(b));
  }
}

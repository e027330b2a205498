/** The workers of a machine: each runs one process of a job at a time. */
import type { DealtCard } from "../processes/probe.ts";
import type { OwnWorker } from "../services.ts";
import { type JobPlace, placesOf, type WorkerPlace } from "../store/records.ts";
import type { Task } from "./run_options.ts";

/**
 * So many of them, or one on each card, on these cards in turn; without any all are on the one named
 * `card`.
 */
export function ownPlaces(
  count: number | undefined,
  card: string,
  cards: readonly DealtCard[] = [],
  machine = "server",
): OwnWorker[] {
  return Array.from({ length: count ?? Math.max(1, cards.length) }, (_, index) => {
    const dealt = cards.length ? cards[index % cards.length] : undefined;
    const place = { worker: `${machine}-${index + 1}`, card: dealt?.name ?? card };
    return dealt ? { ...place, environment: dealt.environment } : place;
  });
}

/** Names of the workers on the first card, which models for inference use too. */
export function onFirstCard(own: readonly OwnWorker[]): string[] {
  return own.filter(({ environment }) => environment === own[0].environment)
    .map(({ worker }) => worker);
}

export class Slots {
  #free: OwnWorker[];

  constructor(readonly all: readonly OwnWorker[]) {
    this.#free = [...all];
  }

  /** How many are free. */
  get free(): number {
    return this.#free.length;
  }

  /** The first that are free, on different cards as far as there are. Throws if fewer are. */
  take(count = 1): JobPlace {
    if (count > this.free) throw new Error(`Slots.take: ${this.free} are free, ${count} wanted`);
    const taken = byCard(this.#free).slice(0, count);
    this.#free = this.#free.filter((place) => !taken.includes(place));
    const [first, ...others] = taken.map(({ worker, card }): WorkerPlace => ({ worker, card }));
    return others.length ? { ...first, others } : first;
  }

  /** So that the next job again has the first that are free. */
  giveBack(place: JobPlace): void {
    this.#free.push(...placesOf(place).map(({ worker }) => this.#named(worker)));
    this.#free.sort((a, b) => this.all.indexOf(a) - this.all.indexOf(b));
  }

  /** What the process of a job there is told of its card, or each of several. */
  cardsOf(place: JobPlace): Pick<Task, "environment" | "cards"> {
    const told = placesOf(place).map(({ worker }) => this.#named(worker).environment);
    return told.length === 1 ? { environment: told[0] } : { cards: told.map((each = {}) => each) };
  }

  #named(worker: string): OwnWorker {
    return this.all.find((each) => each.worker === worker)!;
  }
}

/** First one of each card, then a second of each, and so on. */
function byCard(places: readonly OwnWorker[]): OwnWorker[] {
  const counts = new Map<OwnWorker["environment"], number>();
  const counted = places.map((place) => {
    const before = counts.get(place.environment) ?? 0;
    counts.set(place.environment, before + 1);
    return { place, before };
  });
  return counted.sort((a, b) => a.before - b.before).map(({ place }) => place);
}

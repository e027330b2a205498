/** The workers of the server's own machine: each runs one job at a time. */
import type { DealtCard } from "../processes/probe.ts";
import type { OwnWorker } from "../services.ts";
import type { JobPlace } from "../store/records.ts";

/** `count` of them, on these cards in turn; without any all are on the one named `card`. */
export function ownPlaces(
  count: number,
  card: string,
  cards: readonly DealtCard[] = [],
): OwnWorker[] {
  return Array.from({ length: count }, (_, index) => {
    const dealt = cards.length ? cards[index % cards.length] : undefined;
    const place = { worker: `server-${index + 1}`, card: dealt?.name ?? card };
    return dealt ? { ...place, environment: dealt.environment } : place;
  });
}

/** Names of the workers on the first card, which models for inference use too. */
export function onFirstCard(own: readonly OwnWorker[]): string[] {
  return own.filter(({ environment }) => environment === own[0].environment)
    .map(({ worker }) => worker);
}

export class Slots {
  readonly #free: OwnWorker[];

  constructor(readonly all: readonly OwnWorker[]) {
    this.#free = [...all];
  }

  get isFree(): boolean {
    return this.#free.length > 0;
  }

  /** The first that is free. Throws if none is. */
  take(): JobPlace {
    const place = this.#free.shift();
    if (!place) throw new Error("Slots.take: none is free");
    return { worker: place.worker, card: place.card };
  }

  /** So that the next job again has the first that is free. */
  giveBack({ worker }: JobPlace): void {
    this.#free.push(this.#named(worker));
    this.#free.sort((a, b) => this.all.indexOf(a) - this.all.indexOf(b));
  }

  /** Of the process of a job there. */
  environmentOf({ worker }: JobPlace): OwnWorker["environment"] {
    return this.#named(worker).environment;
  }

  #named(worker: string): OwnWorker {
    return this.all.find((each) => each.worker === worker)!;
  }
}

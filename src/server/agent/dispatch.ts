/** Deals the jobs that are offered to the workers of this machine. */
import { Slots } from "../jobs/slots.ts";
import type { Offer, Offers } from "../pool/offers.ts";
import { type Claimed, type Greeting, LEASE_LOST } from "../pool/protocol.ts";
import { type JobPlace, placesOf } from "../store/records.ts";
import { parseClaimed } from "./claimed.ts";
import { Job, type JobParts } from "./job.ts";
import type { Machine } from "./machine.ts";
import { delay, Refusal } from "./server_client.ts";

export type WorkersOffers = Pick<Offers, "take" | "touch" | "remove" | "close">;

export interface DispatchParts extends Omit<JobParts, "onAlive" | "cards"> {
  readonly offers: WorkersOffers;
}

/** Milliseconds between two looks into an empty queue, and between two signs of life. */
const LOOK_MS = 1000, HELLO_MS = 15_000;
/** The first grows to this where each look asks the server as well, which may limit requests. */
const LONGEST_LOOK_MS = 5000;
/** Milliseconds before the next job after one that could not be run here: the next might not be either. */
const PAUSE_MS = 30_000;

export class Dispatch {
  readonly #slots: Slots;
  readonly #running = new Set<Promise<void>>();
  /** The next end of a job. */
  #freed = Promise.withResolvers<void>();
  /** Aborts when nothing further can be had of the server; the reason is the refusal. */
  readonly #refused = new AbortController();
  readonly #stop: AbortSignal;

  constructor(readonly machine: Machine, readonly parts: DispatchParts) {
    this.#slots = new Slots(machine.workers);
    this.#stop = AbortSignal.any([parts.stop, this.#refused.signal]);
  }

  /** A sign of life; returns what the server says. */
  async hello(): Promise<Greeting> {
    const body = { ...this.#names(this.machine.workers), ranks: this.machine.ranks };
    return await this.parts.client.json("POST", "/hello", { body, signal: this.#stop });
  }

  /**
   * Runs jobs until it is stopped; resolves when the last is saved and given back. Throws a
   * {@link Refusal} that no later call would change.
   */
  async run(): Promise<void> {
    await Promise.all([this.#greet(), this.#deal()].map((work) =>
      work.catch((error) => {
        if (!this.#stop.aborted) this.#refused.abort(error);
      })
    ));
    await Promise.all(this.#running);
    this.#refused.signal.throwIfAborted();
  }

  async #greet(): Promise<void> {
    while (!this.#stop.aborted) {
      await delay(HELLO_MS, this.#stop);
      if (this.#stop.aborted) return;
      await this.hello().catch((error) => {
        if (isFinal(error)) throw error;
        if (!this.#stop.aborted) this.parts.log.error(error.message);
      });
    }
  }

  async #deal(): Promise<void> {
    const longest = this.machine.ranks === 1 ? LOOK_MS : LONGEST_LOOK_MS;
    let wait = LOOK_MS;
    while (!this.#stop.aborted) {
      const freed = this.#freed.promise.then(() => true);
      const sizes = await this.#sizes();
      const offer = sizes.length ? await this.#take(sizes) : undefined;
      if (offer) this.#begin(offer);
      const isNew = offer !== undefined ||
        await Promise.race([delay(wait, this.#stop).then(() => false), freed]);
      wait = isNew ? LOOK_MS : Math.min(2 * wait, longest);
    }
  }

  /**
   * Processes of the jobs to look for, by turn. Where the job whose turn it is could run here once more
   * workers are free, nothing smaller goes before it.
   */
  async #sizes(): Promise<number[]> {
    const { machine: { ranks }, parts: { log } } = this, { free } = this.#slots;
    const fit = Array.from({ length: Math.min(free, ranks) }, (_, index) => index + 1);
    if (ranks === 1 || !free) return fit;
    try {
      const { next } = await this.hello();
      if (next === null) return fit;
      return next > free ? [] : [next, ...fit.filter((size) => size !== next)];
    } catch (error) {
      if (isFinal(error)) throw error;
      if (!this.#stop.aborted) log.error((error as Error).message);
      return [];
    }
  }

  async #take(sizes: readonly number[]): Promise<Offer | undefined> {
    const { offers, log } = this.parts;
    return await offers.take(sizes).catch((error) => void log.error(`queue: ${error.message}`));
  }

  #begin(offer: Offer): void {
    const place = this.#slots.take(offer.ranks);
    const job = this.#run(offer, place)
      .then((went) => went ? undefined : delay(PAUSE_MS, this.#stop))
      .catch((error) => this.#refused.abort(error))
      .finally(() => {
        this.#slots.giveBack(place);
        this.#running.delete(job);
        this.#freed.resolve();
        this.#freed = Promise.withResolvers();
      });
    this.#running.add(job);
  }

  /** Resolves to false if something on this machine kept the job from going on. */
  async #run(offer: Offer, place: JobPlace): Promise<boolean> {
    const { parts } = this, { client, log, offers } = parts;
    const fields = { job_id: offer.job, worker: place.worker };
    let claimed: Claimed;
    try {
      claimed = parseClaimed(
        await client.json("POST", "/claims", {
          body: { ...this.#names(placesOf(place)), job: offer.job, offer: offer.id },
          signal: this.#stop,
          // The server may have to read all of a model once.
          silence: 600_000,
        }),
      );
    } catch (error) {
      const isStopped = this.#stop.aborted;
      if (!(error instanceof Refusal) && !isStopped || isFinal(error)) throw error;
      const { code, message } = error as Refusal;
      // Someone else has it, or it no longer waits; if it does, the server offers it again.
      if (isStopped || code === "job_not_waiting" || code === LEASE_LOST) {
        await offers.remove(offer).catch(() => {});
      } else {
        // It is offered again when nobody has touched the offer for long.
        log.error(`the server does not give a job that it offers: ${message}`, fields);
      }
      return true;
    }
    log.info("a job begins", fields);
    const onAlive = () => void offers.touch(offer).catch(() => {}); // the server decides, not the offer
    const cards = this.#slots.cardsOf(place);
    const went = await new Job(claimed, { ...parts, stop: this.#stop, onAlive, cards }).run();
    log.info("a job has ended here", fields);
    await parts.inputs.tidy().catch((error) => log.fault(error));
    return went;
  }

  #names(workers: readonly { readonly worker: string; readonly card: string }[]) {
    const { version, machine } = this.machine;
    return { version, machine, workers: workers.map(({ worker, card }) => ({ worker, card })) };
  }
}

/** Whether every other call would be refused, too. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof Refusal)) return false;
  const { status, code } = error;
  return status === 401 || status === 403 ||
    ["other_version", "no_queue", "name_taken"].includes(code ?? "");
}

/** What a worker tells its server of a job: events in their order, and that it is alive. */
import type { WorkerEvent } from "../worker/protocol.ts";
import type { Orders, Report } from "../pool/protocol.ts";
import { delay } from "./server_client.ts";

/** Most characters of events in a report; a request takes a megabyte. */
const MOST = 256 * 1024;
/** Milliseconds for which events gather. */
const GATHER_MS = 250;

export interface OutboxHooks {
  /** Sends a report, however long the server is away. */
  send(report: Report): Promise<Orders>;
  /** After each report that has arrived. */
  onOrders(orders: Orders): void;
  /** A report was refused: no further one is sent. */
  onFault(error: unknown): void;
}

export class Outbox {
  #events: WorkerEvent[] = [];
  /** What the run does at the moment: only the latest is worth a report. */
  #moment: WorkerEvent | undefined;
  #news = Promise.withResolvers<void>();
  #closed = false;
  #end: Report["end"];
  readonly #ended: Promise<boolean>;

  /** Reports every `beatMs` milliseconds at least. */
  constructor(readonly hooks: OutboxHooks, readonly beatMs: number) {
    this.#ended = this.#run();
  }

  add(...events: readonly WorkerEvent[]): void {
    for (const event of events) {
      if (event.type === "preparation" || event.type === "progress") this.#moment = event;
      else this.#events.push(event);
    }
    this.#news.resolve();
  }

  /**
   * Sends what is left, and the end in one report with these last events: a server that restarted
   * between two would lack one of them. Resolves to whether all has arrived.
   */
  async close(end?: Report["end"], last: readonly WorkerEvent[] = []): Promise<boolean> {
    this.add(...last);
    this.#end = end;
    this.#closed = true;
    this.#news.resolve();
    return await this.#ended;
  }

  async #run(): Promise<boolean> {
    try {
      while (!this.#closed || this.#events.length || this.#end) {
        if (!this.#events.length && !this.#closed) await this.#newsOr(this.beatMs);
        if (!this.#closed) await delay(GATHER_MS);
        this.#news = Promise.withResolvers();
        await this.#report();
      }
      return true;
    } catch (error) {
      this.hooks.onFault(error);
      return false;
    }
  }

  async #report(): Promise<void> {
    const events: WorkerEvent[] = [];
    for (let size = 0; events.length < this.#events.length;) {
      const event = this.#events[events.length];
      size += JSON.stringify(event).length;
      if (events.length && size > MOST) break;
      events.push(event);
    }
    const moment = this.#moment;
    this.#moment = undefined;
    const isLast = events.length === this.#events.length, end = isLast ? this.#end : undefined;
    const orders = await this.hooks.send({ events: moment ? [...events, moment] : events, end });
    this.#events.splice(0, events.length);
    if (end) this.#end = undefined;
    this.hooks.onOrders(orders);
  }

  async #newsOr(ms: number): Promise<void> {
    const { promise } = this.#news, rested = Promise.withResolvers<void>();
    const timer = setTimeout(rested.resolve, ms);
    await Promise.race([promise, rested.promise]);
    clearTimeout(timer);
  }
}

/** The server's handle on a process that trains a job on another machine. */
import type { Exit, TrainingProcess } from "../jobs/training_process.ts";
import type { WorkerEvent } from "../worker/protocol.ts";

/** An event to take in, and whom to tell when that is done. */
interface Arrival {
  readonly event: WorkerEvent;
  readonly taken: PromiseWithResolvers<void>;
}

export class RemoteProcess implements TrainingProcess {
  readonly #exit = Promise.withResolvers<Exit>();
  readonly #arrivals: Arrival[] = [];
  #arrived = Promise.withResolvers<void>();
  #fault: { readonly error: unknown } | undefined;
  #isOver = false;
  #isLeft = false;
  #stop = false;

  /** `onOver` is called once, when the worker has no more to say or is no longer listened to. */
  constructor(readonly onOver: () => void) {}

  get exit(): Promise<Exit> {
    return this.#exit.promise;
  }

  /** Whether it shall finish its step, save and end. */
  get isToStop(): boolean {
    return this.#stop;
  }

  /** Whether it goes on without this server. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  get events(): AsyncIterable<WorkerEvent> {
    return this.#events();
  }

  async *#events(): AsyncGenerator<WorkerEvent> {
    while (true) {
      const next = this.#arrivals.shift();
      if (next) {
        try {
          yield next.event;
        } finally {
          next.taken.resolve();
        }
      } else if (this.#fault) throw this.#fault.error;
      else if (this.#isOver) return;
      else await this.#arrived.promise;
    }
  }

  /** Resolves when the server has recorded all of them, or no longer listens. */
  async take(events: readonly WorkerEvent[]): Promise<void> {
    const arrivals = events.map((event) => ({ event, taken: Promise.withResolvers<void>() }));
    this.#arrivals.push(...arrivals);
    this.#wake();
    await Promise.race([Promise.all(arrivals.map(({ taken }) => taken.promise)), this.exit]);
  }

  /** It has ended like that, or the server no longer listens to it. */
  end(exit: Exit): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#exit.resolve(exit);
    this.onOver();
    this.#wake();
  }

  /** It cannot begin. */
  fail(error: unknown): void {
    this.#fault = { error };
    this.end({ code: 1, signal: null, log: "" });
  }

  stop(): void {
    this.#stop = true;
  }

  /** Whatever it still does is refused. */
  kill(): void {
    this.end({ code: 137, signal: "SIGKILL", log: "" });
  }

  /** It goes on while the server is away, and finds the next one. */
  leave(): void {
    this.#isLeft = true;
    this.end({ code: 0, signal: null, log: "" });
  }

  #wake(): void {
    const { resolve } = this.#arrived;
    this.#arrived = Promise.withResolvers();
    resolve();
  }
}

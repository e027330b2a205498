/** A job in the hands of a worker on another machine, for as long as that is heard from. */
import type { JobPlace } from "../store/records.ts";
import { Incoming } from "./incoming.ts";
import type { Portable } from "./portable.ts";
import { RemoteProcess } from "./remote_process.ts";

export class Lease {
  readonly process: RemoteProcess;
  readonly incoming: Incoming;
  /** Where the worker may read its inputs, by their hashes; of a lease of an earlier server none. */
  sources: Portable["sources"] = new Map();
  #heardAt = performance.now();
  /** The server's own doings, during which the worker can only wait. */
  #busy = 0;

  constructor(
    readonly id: string,
    readonly jobId: string,
    readonly place: JobPlace,
    folder: string,
    onOver: () => void,
  ) {
    this.process = new RemoteProcess(onOver);
    this.incoming = new Incoming(folder, id);
  }

  /** Milliseconds since the worker was heard from. */
  get silence(): number {
    return this.#busy ? 0 : performance.now() - this.#heardAt;
  }

  hear(): void {
    this.#heardAt = performance.now();
  }

  /** The worker is waiting for the answer meanwhile. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#busy++;
    try {
      return await work();
    } finally {
      this.#busy--;
      this.hear();
    }
  }
}

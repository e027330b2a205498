/** Gives the GPU work as it gets it done, so that little is ahead of it when a run is to stop. */
import type { Gpu } from "../gpu/gpu.ts";

/** Milliseconds of work that the GPU is given at a time; twice that is ahead of it. */
const AHEAD_MS = 250;

export class Pace {
  /** Pieces to give before waiting for those before them, by what the GPU got done in time. */
  #size = 1;
  #given = 0;
  #fence: Promise<void> = Promise.resolve();
  #since = performance.now();

  constructor(private readonly gpu: Gpu) {}

  /** After the last piece: waits for all, which a read that follows would do standing still. */
  async end(): Promise<void> {
    await this.#fence;
    await this.#done();
  }

  #done(): Promise<void> {
    return this.gpu.device.queue.onSubmittedWorkDone()
      .catch(() => {}); // a lost device is reported by whoever reads from it
  }

  /** After each piece: waits if the GPU has enough of them. */
  async next(): Promise<void> {
    if (++this.#given < this.#size) return;
    // The group before this one: the GPU has this one to do in the meantime.
    const before = this.#fence;
    this.#fence = this.#done();
    await before;
    const took = performance.now() - this.#since;
    this.#since += took;
    const fitting = this.#size * AHEAD_MS / Math.max(took, 1);
    this.#size = Math.max(1, Math.round(Math.min(2 * this.#size, fitting)));
    this.#given = 0;
  }
}

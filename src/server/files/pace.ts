/** Divides long work into slices, so that a single-threaded server can answer others in between. */
import { setImmediate } from "node:timers";

const SLICE_MS = 4;

export class Pace {
  #since = performance.now();

  /** Call often: returns immediately, or once per slice after yielding to other work. */
  async keep(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#since = performance.now();
  }
}

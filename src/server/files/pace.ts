/** Long work in slices, so that a server with one thread answers others between them. */
import { setImmediate } from "node:timers";

const SLICE_MS = 4;

export class Pace {
  #since = performance.now();

  /** Called often: returns at once, or once in a slice after what else there is to do. */
  async keep(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#since = performance.now();
  }
}

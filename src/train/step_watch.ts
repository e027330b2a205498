/** How far a step of seconds is, as the GPU gets there, and how long the rest of it will take. */
import type { Watch } from "../gpu/watch.ts";
import type { ProgressEvent } from "./events.ts";

/** A pass through all layers. */
type PassKind = "forward" | "backward";

/** Milliseconds that a layer takes in each kind of pass, and a refresh beside it, as last measured. */
export type LayerTimes = Partial<Record<PassKind | "refresh", number>>;

/** What a step goes through. */
export interface StepExtent {
  readonly microBatches: number;
  /** Subspaces that its first micro-batch refreshes, or its updates, where gradients are kept whole. */
  readonly refreshes: number;
}

/** A pass is taken to be at most so much faster than the last of its kind. */
const LEAST_OF_LAST = 0.7;

/** When a layer was done, and after how many refreshes. */
interface Moment {
  readonly ms: number;
  readonly layer: number;
  readonly refreshed: number;
}

export class StepWatch {
  /** The passes that are not complete. */
  readonly #passes: PassKind[];
  /** Units of work: a layer of a pass, or a refresh. */
  #done = 0;
  /** Layers done of the pass in progress, and layers of the model. */
  #layer = 0;
  #layers = 0;
  /** Refreshes done. */
  #refreshed = 0;
  /** When the first layer of this pass was seen to be done: before it not all is a layer's. */
  #since: Moment | undefined;
  /** What a layer of such a pass took until then. */
  #known: number | undefined;
  /** When the pass before it ended. */
  #ended: Moment | undefined;
  /** Milliseconds of a layer with its refreshes in this pass, while none without was ever timed. */
  #together: number | undefined;

  /** Milliseconds of a refresh after all passes, and when the first of those was done. */
  #alone: number | undefined;
  #aloneSince: { readonly ms: number; readonly refreshed: number } | undefined;
  /** No step was timed before this one: refreshes from random vectors take twice as long. */
  readonly #isFirst: boolean;

  /**
   * @param times of earlier steps; kept up to date
   * @param now a monotonic clock, in milliseconds
   */
  constructor(
    private readonly extent: StepExtent,
    private readonly times: LayerTimes,
    private readonly report: (how: Partial<ProgressEvent>) => void,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#isFirst = times.backward === undefined;
    this.#passes = Array(extent.microBatches).fill(["forward", "backward"]).flat();
  }

  readonly watch: Watch = (part, index, count) => (more = false) => {
    this.#done++;
    if (part === "refresh") {
      this.#refreshed++;
      const layer = this.#passes.length ? this.#layer + 1 : undefined;
      if (!layer) this.#refresh();
      this.#say({ part, layer, subspace: index, subspaces: count });
    } else if (!more) {
      const here = { ms: this.now(), layer: index, refreshed: this.#refreshed };
      this.#pass(here, count);
      this.#say({ part, layer: index });
      if (index < count) return;
      this.#passes.shift();
      this.#layer = 0;
      this.#since = undefined;
      this.#ended = { ...here, layer: 0 };
      this.#together = undefined;
    }
  };

  #pass(here: Moment, layers: number): void {
    const { times } = this, kind = this.#passes[0];
    [this.#layer, this.#layers] = [here.layer, layers];
    // Where all of a pass are seen at once, what comes before the first counts with them.
    const from = this.#since ?? (here.layer === layers ? this.#ended : undefined);
    if (!this.#since) [this.#since, this.#known] = [here, times[kind]];
    if (!from) return;
    const passed = here.layer - from.layer, refreshed = here.refreshed - from.refreshed;
    const elapsed = here.ms - from.ms;
    if (refreshed === 0) {
      // The host may learn late, and at once, that many layers are done.
      const least = LEAST_OF_LAST * (this.#known ?? 0);
      times[kind] = Math.max(least, elapsed / passed);
    } else if (times.backward === undefined) this.#together = elapsed / passed;
    else times.refresh = Math.max(0, (elapsed - passed * times.backward) / refreshed);
  }

  #refresh(): void {
    const since = this.#aloneSince ??= { ms: this.now(), refreshed: this.#refreshed };
    const refreshed = this.#refreshed - since.refreshed;
    if (!refreshed) return;
    this.#alone = (this.now() - since.ms) / refreshed;
    if (!this.#isFirst) this.times.refresh = this.#alone;
  }

  #say(how: Partial<ProgressEvent>): void {
    const { microBatches, refreshes } = this.extent, layers = this.#layers;
    const total = 2 * layers * microBatches + refreshes, left = this.#secondsLeft();
    const seconds_left = Number.isFinite(left) ? left : undefined;
    this.report({ ...how, layers, done: this.#done, total, seconds_left });
  }

  /**
   * NaN while something is to come that was never timed. Refreshes are timed for later steps only
   * beside layers that were timed without any, or after all passes, and never in a first step.
   */
  #secondsLeft(): number {
    const { times, extent: { refreshes } } = this, together = this.#together;
    const layers = this.#passes.map((kind, index) =>
      index === 0
        ? (this.#layers - this.#layer) * (together ?? times[kind] ?? NaN)
        : this.#layers * (times[kind] ?? NaN)
    );
    const toRefresh = together === undefined ? refreshes - this.#refreshed : 0;
    const refreshing = toRefresh > 0 ? toRefresh * (this.#alone ?? times.refresh ?? NaN) : 0;
    return (layers.reduce((sum, each) => sum + each, 0) + refreshing) / 1000;
  }
}

/** How far a step of seconds is, as the GPU gets there, and how long the rest of it will take. */
import type { Watch } from "../gpu/gpu.ts";
import type { ProgressEvent } from "./events.ts";

/** A pass through all layers; `refreshing` is a backward one that refreshes subspaces. */
type PassKind = "forward" | "backward" | "refreshing";

/** Milliseconds that a layer takes in each kind of pass, as last measured. */
export type LayerTimes = Partial<Record<PassKind, number>>;

/** What a step goes through. */
export interface StepExtent {
  readonly microBatches: number;
  /** Subspaces that its first micro-batch refreshes. */
  readonly refreshes: number;
}

export class StepWatch {
  /** The passes that are not complete. */
  readonly #passes: PassKind[];
  /** Units of work: a layer of a pass, or a refresh. */
  #done = 0;
  /** Layers done of the pass in progress, and layers of the model. */
  #layer = 0;
  #layers = 0;
  /** When the first of them was done: what comes before it is not a layer's. */
  #since = 0;

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
    const { microBatches, refreshes } = extent;
    this.#passes = Array.from({ length: microBatches }, (_, index): PassKind[] => [
      "forward",
      index === 0 && refreshes > 0 ? "refreshing" : "backward",
    ]).flat();
  }

  readonly watch: Watch = (part, index, count) => () => {
    this.#done++;
    if (part === "refresh") {
      const layer = this.#layer + 1;
      this.#say({ part, layer, subspace: index, subspaces: count });
    } else {
      this.#pass(index, count);
      this.#say({ part, layer: index });
      if (index < count) return;
      this.#passes.shift();
      this.#layer = 0;
    }
  };

  #pass(layer: number, layers: number): void {
    [this.#layer, this.#layers] = [layer, layers];
    if (layer === 1) this.#since = this.now();
    else this.times[this.#passes[0]] = (this.now() - this.#since) / (layer - 1);
  }

  #say(how: Partial<ProgressEvent>): void {
    const { microBatches, refreshes } = this.extent, layers = this.#layers;
    const total = 2 * layers * microBatches + refreshes, left = this.#secondsLeft();
    const seconds_left = Number.isFinite(left) ? left : undefined;
    this.report({ ...how, layers, done: this.#done, total, seconds_left });
  }

  /** NaN while a kind of pass is to come whose layers were never timed. */
  #secondsLeft(): number {
    const layers = (index: number) => this.#layers - (index === 0 ? this.#layer : 0);
    const left = this.#passes.map((kind, index) => layers(index) * (this.times[kind] ?? NaN));
    return left.reduce((sum, each) => sum + each, 0) / 1000;
  }
}

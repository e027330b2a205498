/**
 * What a run is doing at the moment, for a display: its phase, and how far a long one is. Reports
 * are calls, not events of the run: they come when the GPU gets there, and nothing waits for them.
 */
import type { Watch } from "../gpu/watch.ts";
import type { OnProgress, ProgressEvent, RunPhase } from "./events.ts";
import { type LayerTimes, type StepExtent, StepWatch } from "./step_watch.ts";

/** Steps from here on are watched, which takes a submit for each layer and each refresh. */
const SLOW_STEP_MS = 2000;

export class Activity {
  /** Until a step is timed it may be a slow one. */
  #stepMs = Infinity;
  readonly #layerTimes: LayerTimes = {};
  /** Of the longest evaluation so far. */
  #batches: number | undefined;

  constructor(
    /** Without it nothing is watched. */
    public onProgress?: OnProgress,
  ) {}

  /** `step` is the one in progress, or the last one done. */
  report(phase: RunPhase, step: number, how: Partial<ProgressEvent> = {}): void {
    this.onProgress?.({ type: "progress", phase, step, ...how });
  }

  /** What watches a step of that extent, if steps take long. */
  watch(step: number, extent: StepExtent): Watch | undefined {
    if (!this.onProgress || this.#stepMs < SLOW_STEP_MS) return undefined;
    const report = (how: Partial<ProgressEvent>) => this.report("training", step, how);
    return new StepWatch(extent, this.#layerTimes, report).watch;
  }

  /**
   * Reports the batches of an evaluation after a step: of how many, an earlier evaluation has shown.
   * Undefined if nobody watches.
   */
  batches(step: number): ((done: number) => void) | undefined {
    this.report("evaluating", step, { done: 0, total: this.#batches });
    const total = this.#batches;
    return this.onProgress && ((done) => {
      this.#batches = Math.max(done, total ?? 0);
      this.report("evaluating", step, { done, total });
    });
  }

  /** Steps take this long, by the last ones read. */
  stepsTake(milliseconds: number): void {
    this.#stepMs = milliseconds;
  }
}

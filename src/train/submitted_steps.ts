/**
 * Steps that the GPU has been given and whose losses have not been read. A read waits for the GPU,
 * so losses are fetched several at a time, and while the GPU does the next step: the figures of a
 * step come late, and in groups.
 */
import type { AccountWatch } from "../gpu/allocator.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { StepRefresh } from "../optim/step_refreshes.ts";
import { LOSS_RING, type Training } from "./build.ts";
import type { StepMetrics } from "./events.ts";

/** Milliseconds after which someone watching wants figures. */
const READ_AFTER_MS = 250;

export interface SubmittedStep {
  readonly step: number;
  readonly lr: number;
  readonly targets: number;
  /** Divisor of its loss sum. */
  readonly divisor: number;
  /** Whether it began by merging adapters. */
  readonly restarted?: boolean;
}

/** With what the optimizer and the run had counted after it. */
interface CountedStep extends SubmittedStep {
  readonly tokens: number;
  readonly refreshes: number;
  readonly refresh?: StepRefresh;
}

/** A line of refreshes.jsonl; the matrices are those of `refreshed` in the step's line of figures. */
export interface RefreshRecord {
  readonly step: number;
  /** Of each matrix: |cos| of the leading vector and the one before; null of a first. */
  readonly similarities: readonly (number | null)[];
  /** Steps from then on between the refreshes of each. */
  readonly intervals: readonly number[];
}

/** A read in progress, of these steps. */
interface Reading {
  readonly steps: readonly CountedStep[];
  readonly bytes: Promise<(Uint8Array | undefined)[]>;
}

export class SubmittedSteps {
  /** Without those that are being read. */
  #steps: CountedStep[] = [];
  #reading: Reading | undefined;
  #refreshes: RefreshRecord[] = [];
  #since = 0;
  /** Milliseconds of the last step with and without refreshes of subspaces. */
  readonly #took: { refreshing?: number; plain?: number } = {};
  #totalTokens: number;
  #tokensRead = 0;
  #seconds = 0;

  /** `tokens` is the number of targets trained on in earlier sittings of the run. */
  constructor(
    readonly gpu: Gpu,
    readonly memory: AccountWatch,
    readonly training: Training,
    tokens: number,
  ) {
    this.#totalTokens = tokens;
  }

  /** Steps whose figures are not known. */
  get count(): number {
    return this.#steps.length + (this.#reading?.steps.length ?? 0);
  }

  /** Targets trained on so far, those of steps that are not read included. */
  get totalTokens(): number {
    return this.#totalTokens;
  }

  /** Of the steps read. */
  get tokensPerSecond(): number {
    return this.#tokensRead / Math.max(1e-9, this.#seconds);
  }

  /** Time from here on belongs to the next steps: evaluations and checkpoints do not. */
  restartClock(): void {
    this.#since = performance.now();
  }

  /** The step that was submitted last. */
  add(step: SubmittedStep): void {
    const { now: refresh, total: refreshes } = this.training.optimizer.refreshes;
    const tokens = this.#totalTokens += step.targets;
    this.#steps.push({ ...step, tokens, refreshes, refresh });
  }

  /** Milliseconds that a step will take, by the last one of its kind; undefined for the first. */
  expectedMs(step: number): number | undefined {
    return this.#took[this.training.optimizer.refreshes.at(step) > 0 ? "refreshing" : "plain"];
  }

  /** After a refresh, for the lazy rule; when the ring of losses is full; and now and then. */
  get mustRead(): boolean {
    return this.#steps.at(-1)?.refresh !== undefined || this.#steps.length === LOSS_RING ||
      performance.now() - this.#since > READ_AFTER_MS;
  }

  /**
   * Begins to read the figures of all of them, for {@link readBegun}; what the GPU is given from now
   * on does not wait for that.
   */
  beginReading(): void {
    const { losses, gradientSquares: squares, optimizer: { scratch } } = this.training;
    const refreshed = this.#steps.at(-1)?.refresh && scratch.similarities;
    const bytes = Promise.all(
      [losses, squares, refreshed].map((tensor) => tensor && this.gpu.read(tensor)),
    );
    bytes.catch(() => {}); // reported to whoever waits for it
    this.#reading = { steps: this.#steps.splice(0), bytes };
  }

  /** The figures of all of them; a loss or norm may not be finite. */
  async read(): Promise<StepMetrics[]> {
    const begun = await this.readBegun();
    if (!this.#steps.length) return begun;
    this.beginReading();
    return [...begun, ...await this.readBegun()];
  }

  /** What has been recorded of refreshes since the last call. */
  takeRefreshes(): RefreshRecord[] {
    return this.#refreshes.splice(0);
  }

  #record(similarities: Float32Array, refresh: StepRefresh, step: number): void {
    const { refreshes } = this.training.optimizer;
    refreshes.record(similarities, refresh);
    const refreshed = refreshes.projectors.flatMap((projector, index) =>
      refresh.projectors.has(projector) ? [{ projector, similarity: similarities[index] }] : []
    );
    this.#refreshes.push({
      step,
      similarities: refreshed.map(({ similarity }) =>
        similarity >= 0 ? Number(similarity.toFixed(4)) : null
      ),
      intervals: refreshed.map(({ projector }) => projector.lazy.interval),
    });
  }

  /** The figures of those whose reading has begun; their similarities go to the lazy rule. */
  async readBegun(): Promise<StepMetrics[]> {
    if (!this.#reading) return [];
    const { memory } = this, { steps } = this.#reading;
    const [losses, squares, similarities] = (await this.#reading.bytes)
      .map((bytes) => bytes && new Float32Array(bytes.buffer));
    this.#reading = undefined;
    // Steps with refreshes are read at once, so at most one is among them, and is the last.
    const { refresh } = steps.at(-1)!;
    if (refresh) this.#record(similarities!, refresh, steps.at(-1)!.step);
    // From one read to the next: the GPU does the next steps meanwhile.
    const now = performance.now(), seconds = (now - this.#since) / 1000;
    this.#since = now;
    const targets = steps.reduce((sum, step) => sum + step.targets, 0);
    this.#tokensRead += targets;
    this.#seconds += seconds;
    this.#took[refresh ? "refreshing" : "plain"] = 1000 * seconds / steps.length;
    return steps.map(({ step, lr, divisor, tokens, refreshes, refresh, restarted }) => ({
      step,
      loss: losses![step % LOSS_RING] / (divisor || 1),
      ...(squares && { grad_norm: Math.sqrt(squares[step % LOSS_RING]) }),
      lr,
      tokens,
      tokens_per_second: targets / seconds,
      step_ms: (1000 * seconds) / steps.length,
      gpu_bytes: memory.live,
      gpu_peak_bytes: memory.peak,
      subspace_refreshes: refreshes,
      ...(refresh ? { refreshed: refresh.parameters } : undefined),
      ...(restarted && { restarted }),
    }));
  }
}

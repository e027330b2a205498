/**
 * Steps that the GPU has been given and whose losses have not been read. A read waits for the GPU,
 * so losses are fetched several at a time: the figures of a step come late, and in groups.
 */
import type { AccountWatch } from "../gpu/allocator.ts";
import type { Gpu } from "../gpu/gpu.ts";
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
}

export class SubmittedSteps {
  #steps: SubmittedStep[] = [];
  #since = 0;
  /** Milliseconds of the last step with and without refreshes of subspaces. */
  readonly #took: { refreshing?: number; plain?: number } = {};
  #tokensRead = 0;
  #seconds = 0;

  /** `tokens` is the number of targets trained on in earlier sittings of the run. */
  constructor(
    readonly gpu: Gpu,
    readonly memory: AccountWatch,
    readonly training: Training,
    readonly tokens: number,
  ) {}

  get count(): number {
    return this.#steps.length;
  }

  /** Targets trained on so far, those of steps that are not read included. */
  get totalTokens(): number {
    return this.tokens + this.#tokensRead +
      this.#steps.reduce((sum, { targets }) => sum + targets, 0);
  }

  /** Of the steps read. */
  get tokensPerSecond(): number {
    return this.#tokensRead / Math.max(1e-9, this.#seconds);
  }

  /** Time from here on belongs to the next steps: evaluations and checkpoints do not. */
  restartClock(): void {
    this.#since = performance.now();
  }

  add(step: SubmittedStep): void {
    this.#steps.push(step);
  }

  /** Milliseconds that a step will take, by the last one of its kind; undefined for the first. */
  expectedMs(step: number): number | undefined {
    return this.#took[this.training.optimizer.refreshesAt(step) ? "refreshing" : "plain"];
  }

  /** At once when the lazy rule needs a step's similarities, or the ring of losses is full. */
  get mustRead(): boolean {
    return this.training.optimizer.refreshes || this.#steps.length === LOSS_RING ||
      performance.now() - this.#since > READ_AFTER_MS;
  }

  /** The figures of all of them; a loss may not be finite. */
  async read(): Promise<StepMetrics[]> {
    const { gpu, memory, training: { losses, optimizer } } = this;
    const sums = new Float32Array((await gpu.read(losses)).buffer);
    // Steps with refreshes are read at once, so such a step is the last one read.
    const refreshed = optimizer.refreshes ? { refreshed: optimizer.refreshed } : undefined;
    if (refreshed) {
      const bytes = await gpu.read(optimizer.scratch.similarities);
      optimizer.recordSimilarities(new Float32Array(bytes.buffer));
    }
    const steps = this.#steps.splice(0), last = steps.at(-1);
    const seconds = (performance.now() - this.#since) / 1000;
    const targets = steps.reduce((sum, step) => sum + step.targets, 0);
    let tokens = this.tokens + this.#tokensRead;
    this.#tokensRead += targets;
    this.#seconds += seconds;
    this.#took[refreshed ? "refreshing" : "plain"] = 1000 * seconds / steps.length;
    const before = optimizer.refreshCount - (refreshed?.refreshed.length ?? 0);
    return steps.map((each) => {
      const { step, lr, divisor } = each;
      tokens += each.targets;
      return {
        step,
        loss: sums[step % LOSS_RING] / (divisor || 1),
        lr,
        tokens,
        tokens_per_second: targets / seconds,
        step_ms: (1000 * seconds) / steps.length,
        gpu_bytes: memory.live,
        gpu_peak_bytes: memory.peak,
        subspace_refreshes: each === last ? optimizer.refreshCount : before,
        ...(each === last ? refreshed : undefined),
      };
    });
  }
}

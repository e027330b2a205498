/** One optimizer step, recorded, and given to the GPU at its own pace or with other ranks'. */
import type { Gpu } from "../gpu/gpu.ts";
import type { HeldWork } from "../gpu/held_work.ts";
import type { Watch } from "../gpu/watch.ts";
import type { Batch } from "../model/batch.ts";
import type { Training } from "./build.ts";
import type { Exchange } from "./exchange.ts";
import { type OpenStep, openStep, type StepOptions } from "./open_step.ts";
import { Pace } from "./pace.ts";
import type { StepSum } from "./step_sum.ts";

/** How a step ended that may be stopped within. */
export type StepEnd =
  /** It was submitted. */
  | { readonly end: "submitted" }
  /** It was stopped before it changed anything, or after it had begun to. */
  | { readonly end: "untouched" | "abandoned" };

/** How a step is stopped within. */
export interface Stopping {
  readonly signal: AbortSignal;
  /** Also once it has begun to overwrite: the state before it is saved. */
  readonly mayAbandon: boolean;
}

/**
 * A step that is recorded before it is given to the GPU: its first micro-batch at once, so that the
 * host does that while the GPU does the step before, and the others as those before them are given.
 */
export class RecordedStep {
  /** Divisor of its loss sum. */
  readonly divisor: number;
  readonly #step: OpenStep;
  #first: readonly HeldWork[] | undefined;
  #touched = false;

  /**
   * `batches` are all of the step: with ranks, rank k of n takes each n-th from the k-th on. In small
   * pieces if it is `paced`: it can then be given at the GPU's own pace and stopped within.
   * `watch` sees its layers and refreshes; see {@link Gpu.watch}.
   */
  constructor(
    readonly gpu: Gpu,
    readonly training: Training,
    readonly batches: readonly Batch[],
    readonly options: StepOptions & { readonly paced?: boolean; readonly watch?: Watch },
  ) {
    const step = this.#step = openStep(gpu, training, batches, options);
    this.divisor = step.divisor;
    this.#first = this.#record(() => step.begin(0));
  }

  /** Dispatches of a piece, unless it is the usual number. */
  get #piece(): number | undefined {
    return this.options.paced ? undefined : Infinity;
  }

  #record(part: () => void): HeldWork[] {
    const { gpu, options: { watch } } = this, { sum } = this.#step;
    gpu.watch = sum ? sum.watching(watch) : watch;
    try {
      return gpu.hold(part, this.#piece);
    } catch (error) {
      this.cancel();
      throw error;
    } finally {
      gpu.watch = undefined;
    }
  }

  /**
   * Gives it to the GPU, without waiting unless it is paced. A paced step ends at an abort, and within
   * seconds however long it is: at any point as long as nothing is overwritten, and later only if
   * `mayAbandon`, since a step half of whose updates are made is worth nothing. Otherwise the step is
   * finished, as is one that ranks share.
   */
  async give(stopping?: Stopping): Promise<StepEnd> {
    const { exchange } = this.options, { sum } = this.#step;
    if (exchange) return await this.#giveShared(exchange, sum!);
    const ended = await this.accumulate(stopping);
    const applies = ended.end === "submitted" && this.training.optimizer.keeps;
    return applies ? await this.apply(stopping) : ended;
  }

  /**
   * Gives its micro-batches only, as {@link give} does. Where the optimizer keeps gradients, they then
   * stay in its states until {@link apply}; otherwise each is applied once complete.
   */
  accumulate(stopping?: Stopping): Promise<StepEnd> {
    return this.#give(this.#parts(0, this.#step.count), stopping);
  }

  /** The recording of these micro-batches. */
  *#parts(start: number, end: number): Generator<() => readonly HeldWork[]> {
    for (let index = start; index < end; index++) {
      yield () => {
        const work = this.#first ?? this.#record(() => this.#step.begin(index));
        this.#first = undefined;
        return work;
      };
    }
  }

  /** Every rank's micro-batches, of which the first of all chooses the subspaces, as their sum. */
  async #giveShared(exchange: Exchange, sum: StepSum): Promise<StepEnd> {
    const { optimizer } = this.training, leads = exchange.ranks.rank === 0;
    // With groups of gradients, or shared weights, subspaces are given as the backward pass goes on.
    const within = optimizer.goesByGroups || optimizer.shape.shares?.weights;
    const refresh = within ? undefined : optimizer.refreshes.now, { count } = this.#step;
    try {
      if (!leads) await exchange.share(refresh);
      await this.#give(this.#parts(0, 1), undefined);
      if (leads) await exchange.share(refresh);
      await this.#give(this.#parts(1, count), undefined);
      await sum.finish();
    } catch (error) {
      exchange.abandon();
      throw error;
    }
    if (optimizer.goesByGroups) return { end: "submitted" };
    const applied = await this.apply();
    if (!exchange.shares) return applied;
    await exchange.shares.give();
    return await this.#give([() => this.#record(this.#step.addGiven)], undefined);
  }

  /** Where gradients are kept: gives the updates, as {@link give} does, once they are exchanged. */
  apply(stopping?: Stopping): Promise<StepEnd> {
    return this.#give([() => this.#record(this.#step.applyAll)], stopping);
  }

  /** Gives parts of it, each recorded as the one before it has been given. */
  async #give(
    parts: Iterable<() => readonly HeldWork[]>,
    stopping: Stopping | undefined,
  ): Promise<StepEnd> {
    const { gpu, options } = this;
    let pace = options.paced ? new Pace(gpu) : undefined;
    for (const part of parts) {
      for (const { give, overwrites, wait } of gpu.inTurn(part(), this.#piece)) {
        // From there on the others set the pace: what is exchanged stands still where Deno waits.
        if (wait) pace = undefined;
        await wait?.();
        if (pace && stopping?.signal.aborted) {
          const touches = this.#touched || overwrites;
          if (stopping.mayAbandon || !touches) {
            this.cancel();
            return { end: touches ? "abandoned" : "untouched" };
          }
        }
        this.#touched ||= overwrites;
        gpu.enqueue(give);
        if (pace) await pace.next();
      }
    }
    await pace?.end();
    return { end: "submitted" };
  }

  /** Whether the GPU has been given work of it that overwrites weights or states. */
  get touched(): boolean {
    return this.#touched;
  }

  /** It is not done after all. */
  cancel(): void {
    this.training.optimizer.refreshes.cancel();
  }
}

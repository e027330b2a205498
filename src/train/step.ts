/** One optimizer step: the micro-batches' forward and backward passes, with fused updates. */
import type { Gpu } from "../gpu/gpu.ts";
import type { HeldWork } from "../gpu/held_work.ts";
import type { Watch } from "../gpu/watch.ts";
import { KernelPass } from "../gpu/pass.ts";
import type { Profiler } from "../gpu/profiler.ts";
import type { Activations } from "../model/activations.ts";
import type { Batch } from "../model/batch.ts";
import type { EmbeddingNoise } from "../model/llama.ts";
import { columnsOf } from "../numbers/layout.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import { UserError } from "../options/user_error.ts";
import { ALONE, type Ranks } from "../parallel/ranks.ts";
import { Pace } from "./pace.ts";
import type { Training } from "./build.ts";
import type { Exchange } from "./exchange.ts";
import { gathering, groupWork } from "./exchanges_within.ts";

export interface StepOptions {
  /** From 1. */
  readonly step: number;
  readonly lr: number;
  /** The highest rate of the schedule; `lr` by default. */
  readonly peak?: number;
  readonly rates: OptimizerRates;
  /**
   * Element of `training.losses` that receives the sum of the losses, in nats; below
   * {@link LOSS_RING} that of `training.gradientSquares`, too.
   */
  readonly lossIndex: number;
  readonly profiler?: Profiler;
  /** The ranks to which its batches are dealt out; by default all of them are taken here. */
  readonly ranks?: Pick<Ranks, "rank" | "size">;
  /** With which they exchange its gradients, which must be kept; otherwise each trains by itself. */
  readonly exchange?: Exchange;
}

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
  readonly #count: number;
  readonly #begin: (index: number) => void;
  readonly #applyAll: () => void;
  readonly #addGiven: () => void;
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
    const { count, begin, applyAll, addGiven, divisor } = openStep(gpu, training, batches, options);
    this.#count = count;
    this.#begin = begin;
    this.#applyAll = applyAll;
    this.#addGiven = addGiven;
    this.divisor = divisor;
    this.#first = this.#record(() => begin(0));
  }

  /** Dispatches of a piece, unless it is the usual number. */
  get #piece(): number | undefined {
    return this.options.paced ? undefined : Infinity;
  }

  #record(part: () => void): HeldWork[] {
    const { gpu, options: { watch } } = this;
    gpu.watch = watch;
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
    const { exchange, lossIndex } = this.options;
    if (exchange) return await this.#giveShared(exchange, lossIndex);
    const ended = await this.accumulate(stopping);
    const applies = ended.end === "submitted" && this.training.optimizer.keeps;
    return applies ? await this.apply(stopping) : ended;
  }

  /**
   * Gives its micro-batches only, as {@link give} does. Where the optimizer keeps gradients, they then
   * stay in `optimizer.accumulated` until {@link apply}; otherwise each is applied once complete.
   */
  accumulate(stopping?: Stopping): Promise<StepEnd> {
    return this.#give(this.#parts(0, this.#count), stopping);
  }

  /** The recording of these micro-batches. */
  *#parts(start: number, end: number): Generator<() => readonly HeldWork[]> {
    for (let index = start; index < end; index++) {
      yield () => {
        const work = this.#first ?? this.#record(() => this.#begin(index));
        this.#first = undefined;
        return work;
      };
    }
  }

  /** Every rank's micro-batches, of which the first of all chooses the subspaces, as their sum. */
  async #giveShared(exchange: Exchange, lossIndex: number): Promise<StepEnd> {
    const { optimizer } = this.training, leads = exchange.ranks.rank === 0;
    if (optimizer.goesByGroups) {
      const ended = await this.#give(this.#parts(0, this.#count), undefined);
      await exchange.sum(lossIndex);
      return ended;
    }
    // With shared weights subspaces are given as the backward pass goes on.
    const refresh = optimizer.shape.shares?.weights ? undefined : optimizer.refreshes.now;
    if (!leads) await exchange.share(refresh);
    await this.#give(this.#parts(0, 1), undefined);
    if (leads) await exchange.share(refresh);
    await this.#give(this.#parts(1, this.#count), undefined);
    await exchange.sum(lossIndex);
    const applied = await this.apply();
    if (!exchange.shares) return applied;
    await exchange.shares.give();
    return await this.#give([() => this.#record(this.#addGiven)], undefined);
  }

  /** Where gradients are kept: gives the updates, as {@link give} does, once they are exchanged. */
  apply(stopping?: Stopping): Promise<StepEnd> {
    return this.#give([() => this.#record(this.#applyAll)], stopping);
  }

  /** Gives parts of it, each recorded as the one before it has been given. */
  async #give(
    parts: Iterable<() => readonly HeldWork[]>,
    stopping: Stopping | undefined,
  ): Promise<StepEnd> {
    const { gpu, options } = this;
    const pace = options.paced ? new Pace(gpu) : undefined;
    for (const part of parts) {
      for (const { give, overwrites, wait } of gpu.inTurn(part(), this.#piece)) {
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

/**
 * A step of which `begin` submits a micro-batch, in order, and then, where gradients are kept,
 * `applyAll` the updates; where processes share the states those of its own, and `addGiven` the others.
 */
export function openStep(
  gpu: Gpu,
  training: Training,
  batches: readonly Batch[],
  { step, lr, peak, rates, lossIndex, profiler, ranks, exchange }: StepOptions,
): {
  /** Micro-batches of this process. */
  readonly count: number;
  readonly begin: (index: number) => void;
  readonly applyAll: () => void;
  readonly addGiven: () => void;
  readonly divisor: number;
} {
  const { model, optimizer, losses, gradientSquares: out, objective, submit } = training;
  const { rank, size } = ranks ?? ALONE;
  const norm = out && { out, index: lossIndex };
  const pass = new KernelPass(gpu, profiler), refreshed = exchange && rank > 0;
  const { shares } = optimizer.shape;
  const groups = optimizer.goesByGroups || shares?.weights
    ? groupWork(pass, optimizer, exchange)
    : undefined;
  optimizer.beginStep({ step, lr, peak, rates, norm, refreshed, groups });
  const own = batches.filter((_, index) => index % size === rank);
  // One mean over all targets of the step, however they are split into micro-batches.
  const divisor = (exchange ? batches : own).reduce(
    (sum, batch) => sum + (objective.divisor?.(batch) ?? batch.tokens),
    0,
  );
  if (objective.divisor && !(divisor > 0 && divisor < Infinity)) {
    throw new UserError(
      `step ${step}: the weights of objective ${objective.name} sum to ${divisor} over all targets, ` +
        "so nothing would be learned",
      "weights must be finite, at least 0, and above 0 for some target of each step",
    );
  }
  const gradScale = divisor ? 1 / divisor : 1;
  const count = own.length;
  const begin = (index: number) => {
    optimizer.beginMicroBatch(index);
    const at = { step, rates }, { restarts } = optimizer;
    if (index === 0 && restarts?.isDue(at)) restarts.record(pass, at);
    // Each micro-batch gets its own dropout mask and noise; evaluations have none.
    const place = rank + index * size, batch = own[index];
    const key = { seed: rates.seed, step: (step - 1) * batches.length + place };
    if (model.lora) model.lora.key = key;
    model.noise = embeddingNoise(rates, training.activations, batch, key);
    const loss = { out: losses, index: lossIndex, accumulate: index > 0 };
    if (exchange && shares?.weights) model.gather = gathering(optimizer, exchange);
    submit(pass, training, batch, { sink: optimizer, loss, gradScale });
    model.gather = undefined;
    optimizer.endMicroBatch();
    if (model.lora) model.lora.key = undefined;
    model.noise = undefined;
    if (index < count - 1) return;
    optimizer.finish(pass);
    pass.submit();
  };
  const applyAll = () => {
    optimizer.applyAll(pass);
    pass.submit();
  };
  const addGiven = () => {
    optimizer.addGiven(pass);
    pass.submit();
  };
  return { count, begin, applyAll, addGiven, divisor };
}

/**
 * NEFTune's noise in a micro-batch, if any: uniform up to α/√(L·C) in each element of an embedded
 * token (Jain et al. 2023, arXiv 2310.05914, algorithm 1). L is the length that rows are padded to,
 * as transformers counts it; a row that several examples are packed into has T.
 */
function embeddingNoise(
  { neftuneNoiseAlpha: alpha = 0 }: OptimizerRates,
  { length, residual: [embedded] }: Activations,
  { longest = length }: Batch,
  key: { readonly seed: number; readonly step: number },
): EmbeddingNoise | undefined {
  if (!alpha) return undefined;
  return { ...key, bound: alpha / Math.sqrt(longest * columnsOf(embedded.shape)) };
}

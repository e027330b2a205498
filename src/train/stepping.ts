/** Takes the steps of a run: data in, work for the GPU out. */
import { compileKernels } from "../gpu/compile_kernels.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Batch } from "../model/batch.ts";
import type { Activity } from "./activity.ts";
import { LOSS_RING } from "./build.ts";
import { kernelsOf } from "./compile.ts";
import type { OpenRun } from "./open_run.ts";
import { rateOf } from "./resumed_schedule.ts";
import { RecordedStep } from "./step.ts";
import type { SubmittedSteps } from "./submitted_steps.ts";
import { unlessAborted } from "./unless_aborted.ts";

/** Steps longer than this can be stopped within. */
const PACED_STEP_MS = 1000;

export class Stepping {
  #step: number;
  #position: unknown;
  #spoilt = false;
  /** Read from the data for the next step. */
  #batches: Batch[] = [];
  /** The next step, if it is recorded. */
  #next: RecordedStep | undefined;
  #reading: Promise<Batch | null> | undefined;

  constructor(
    private readonly gpu: Gpu,
    private readonly run: OpenRun,
    private readonly submitted: SubmittedSteps,
    private readonly activity: Activity,
  ) {
    this.#step = run.resumed?.state.step ?? 0;
    this.#position = run.data.batches.position();
  }

  /** Steps done, those included whose figures are not read yet. */
  get step(): number {
    return this.#step;
  }

  /** In the data, after the last complete step. */
  get position(): unknown {
    return this.#position;
  }

  /** The weights are not worth saving: the loss is not finite, or a step is half done. */
  get spoilt(): boolean {
    return this.#spoilt;
  }

  spoil(): void {
    this.#spoilt = true;
  }

  /**
   * Compiles what the steps and evaluations of the run need, so that none of them waits for it.
   * Returns early if the signal aborts it.
   */
  async compile(signal?: AbortSignal): Promise<void> {
    const { gpu, activity, run: { recipe, training } } = this;
    if (!await this.#read(signal)) return;
    const kernels = kernelsOf(gpu, training, this.#batches, recipe.rates);
    const report = (done: number, total: number) =>
      activity.report("compiling kernels", this.#step, { done, total });
    await compileKernels(gpu, kernels, report, signal);
  }

  /**
   * Records the next step, so that the GPU can have it at once. Returns false if that is not possible
   * yet: similarities that are to be read decide what it refreshes, or the signal aborted.
   */
  async prepare(signal?: AbortSignal): Promise<boolean> {
    if (!this.run.training.optimizer.refreshes.knownAt(this.#step + 1)) return false;
    if (!await this.#read(signal)) return false;
    this.#next ??= this.#record(signal !== undefined);
    return true;
  }

  /** Forgets the step that is recorded: what the optimizer then holds is the state after the last. */
  discard(): void {
    this.#next?.cancel();
    this.#next = undefined;
  }

  /** Whether the data of the next step is read; false if the signal ended that. */
  ready(signal?: AbortSignal): Promise<boolean> {
    return this.#read(signal);
  }

  /**
   * Submits the next step. Returns false if the signal ended it: before it changed anything, or
   * where `mayAbandon` says that the state before it is saved.
   */
  async take(mayAbandon: boolean, signal?: AbortSignal): Promise<boolean> {
    const { submitted, run: { data } } = this, step = this.#step + 1;
    if (!await this.#read(signal)) return false;
    const batches = this.#batches, position = data.batches.position();
    this.activity.report("training", step);
    const next = this.#next ?? this.#record(signal !== undefined);
    this.#next = undefined;
    try {
      const { end } = await next.give(signal && { signal, mayAbandon });
      if (end === "abandoned") this.#spoilt = true;
      if (end !== "submitted") return false;
      await this.#meetAfter(step);
    } catch (error) {
      this.#spoilt ||= next.touched;
      throw error;
    }
    [this.#position, this.#step, this.#batches] = [position, step, []];
    const targets = batches.reduce((sum, { tokens }) => sum + tokens, 0);
    const { training: { optimizer: { restarts } }, recipe: { rates } } = this.run;
    const restarted = restarts?.isDue({ step, rates });
    submitted.add({ step, lr: next.options.lr, targets, divisor: next.divisor, restarted });
    return true;
  }

  /** The outer step of ranks that train by themselves, where it is time for it. */
  async #meetAfter(step: number): Promise<void> {
    const { local, team, recipe: { rates } } = this.run;
    if (!local?.meetsAt(step)) return;
    this.activity.report("outer step", step);
    await (team ?? local).meet(step, rates);
  }

  /** The next step, of the batches read. */
  #record(stoppable: boolean): RecordedStep {
    const { gpu, submitted, activity, run: { recipe, training, schedule, team, local } } = this;
    const step = this.#step + 1, batches = this.#batches;
    return new RecordedStep(gpu, training, batches, {
      step,
      lr: rateOf(schedule, step - 1),
      peak: schedule.lr,
      rates: recipe.rates,
      lossIndex: step % LOSS_RING,
      ranks: team?.ranks,
      exchange: local ? undefined : team?.exchange,
      // The pace costs a fast step more than the stop within it is worth; the first may be a slow one.
      paced: stoppable && (submitted.expectedMs(step) ?? Infinity) > PACED_STEP_MS,
      watch: activity.watch(step, {
        microBatches: batches.length / (team?.ranks.size ?? 1),
        refreshes: training.optimizer.refreshes.at(step),
      }),
    });
  }

  /** Reads the micro-batches of a step; returns false if the signal ended that. */
  async #read(signal?: AbortSignal): Promise<boolean> {
    const count = this.run.recipe.options.gradientAccumulation;
    while (this.#batches.length < count) {
      this.#reading ??= this.run.data.batches.next();
      try {
        const batch = await unlessAborted(this.#reading, signal);
        this.#batches.push(batch!); // training data repeats endlessly
      } catch (error) {
        if (signal?.aborted && error === signal.reason) return false;
        this.#reading = undefined;
        throw error;
      }
      this.#reading = undefined;
    }
    return true;
  }
}

/** Takes the steps of a run: data in, work for the GPU out. */
import type { Gpu } from "../gpu/gpu.ts";
import type { Batch } from "../model/batch.ts";
import type { Activity } from "./activity.ts";
import { LOSS_RING } from "./build.ts";
import type { OpenRun } from "./open_run.ts";
import { rateOf } from "./resumed_schedule.ts";
import { type StepEnd, trainStep, trainStepAtPace } from "./step.ts";
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
   * Submits the next step. Returns false if the signal ended it: before it changed anything, or
   * where `mayAbandon` says that the state before it is saved.
   */
  async take(mayAbandon: boolean, signal?: AbortSignal): Promise<boolean> {
    const { gpu, submitted, run: { recipe, training, data, schedule } } = this;
    const count = recipe.options.gradientAccumulation;
    if (!await this.#read(count, signal)) return false;
    const batches = this.#batches, position = data.batches.position(), step = this.#step + 1;
    const lr = rateOf(schedule, step - 1);
    const options = { step, lr, rates: recipe.rates, lossIndex: step % LOSS_RING };
    // The pace costs a fast step more than the stop within it is worth; the first may be a slow one.
    const atPace = (submitted.expectedMs(step) ?? Infinity) > PACED_STEP_MS;
    const submit = () =>
      signal && atPace
        ? trainStepAtPace(gpu, training, batches, { ...options, signal, mayAbandon })
        : { end: "submitted" as const, divisor: trainStep(gpu, training, batches, options) };
    let ended: StepEnd;
    try {
      ended = await this.activity.step(step, count, submit);
    } catch (error) {
      this.#spoilt = training.optimizer.touched;
      training.optimizer.cancelStep();
      throw error;
    }
    if (ended.end === "abandoned") this.#spoilt = true;
    if (ended.end !== "submitted") return false;
    [this.#position, this.#step, this.#batches] = [position, step, []];
    const targets = batches.reduce((sum, { tokens }) => sum + tokens, 0);
    submitted.add({ step, lr, targets, divisor: ended.divisor });
    return true;
  }

  /** Reads the micro-batches of a step; returns false if the signal ended that. */
  async #read(count: number, signal?: AbortSignal): Promise<boolean> {
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

/** Evaluations of a run and the samples after them: what they found, and what a stop left due. */
import type { Gpu } from "../gpu/gpu.ts";
import { evaluatePerplexity, type Evaluation } from "../inference/perplexity.ts";
import type { Activity } from "./activity.ts";
import { BestEvaluation } from "./best_evaluation.ts";
import { LOSS_RING } from "./build.ts";
import type { SampleEvent, TrainingEvent } from "./events.ts";
import type { OpenRun } from "./open_run.ts";
import { evalEvent } from "./run_figures.ts";
import type { RunState } from "./run_state.ts";
import { writeSamples } from "./samples.ts";

/** `step` is everywhere the last one done. */
export class Evaluating {
  readonly best: BestEvaluation;
  #firstLoss: number | undefined;
  #due: RunState["due"];

  constructor(
    private readonly gpu: Gpu,
    private readonly run: OpenRun,
    private readonly activity: Activity,
  ) {
    const state = run.resumed?.state;
    this.best = new BestEvaluation(run.recipe.options, state?.best);
    this.#firstLoss = state?.first_eval_loss;
    this.#due = state?.due;
  }

  /** Loss on the held-out data before the first step. */
  get firstLoss(): number | undefined {
    return this.#firstLoss;
  }

  /** What was to follow the last step, and has not been done. */
  get due(): RunState["due"] {
    return this.#due;
  }

  /** The same, which is no longer due: the caller does it now. */
  takeDue(): RunState["due"] {
    const due = this.#due;
    this.#due = undefined;
    return due;
  }

  /** Before the first step. */
  async *first(signal?: AbortSignal): AsyncGenerator<TrainingEvent> {
    this.#firstLoss = (yield* this.report(0, signal))?.loss;
    yield* this.samples(0, signal);
  }

  /** Evaluates, and says so. */
  async *report(
    step: number,
    signal?: AbortSignal,
  ): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    const evaluation = await this.evaluate(step, signal);
    if (evaluation) yield evalEvent(step, evaluation);
    return evaluation;
  }

  /** Undefined if nothing is held out, or if the signal aborted it; it is then due, as after an error. */
  async evaluate(step: number, signal?: AbortSignal): Promise<Evaluation | undefined> {
    const { gpu, run: { recipe, team, training: { model, ...buffers } } } = this;
    try {
      const batches = await recipe.openEvaluation();
      if (!batches) return undefined;
      const into = { ...buffers, index: LOSS_RING };
      const options = { signal, onBatch: this.activity.batches(step) };
      model.gather = team?.gather;
      return await evaluatePerplexity(gpu, model, into, batches, options);
    } catch (error) {
      this.#due = "evaluation";
      if (!signal?.aborted) throw error;
      return undefined;
    } finally {
      model.gather = undefined;
    }
  }

  async *samples(step: number, signal?: AbortSignal): AsyncGenerator<SampleEvent> {
    const { gpu, activity, run: { recipe, training, prompts } } = this;
    const samples = writeSamples(gpu, recipe, training, { prompts, step, signal });
    let written = 0;
    const progress = () =>
      activity.report("generating samples", step, { done: written, total: prompts.length });
    if (prompts.length) progress();
    try {
      for await (const sample of samples) {
        written++;
        progress();
        yield sample;
      }
    } finally {
      if (written < prompts.length) this.#due ??= "samples";
    }
  }
}

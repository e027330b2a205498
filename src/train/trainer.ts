/**
 * The training loop: data in, typed events out, everything that must survive on disk.
 *
 * @example
 * ```ts
 * import { Gpu, Trainer } from "@deno-galore/trainer";
 *
 * using gpu = await Gpu.open();
 * const trainer = await Trainer.pretrain(gpu, {
 *   model: "llama_nano",
 *   data: ["texts/"],
 *   output: "runs/nano",
 *   steps: 200,
 * });
 * for await (const event of trainer.run()) {
 *   if (event.type === "step") console.log(event.step, event.loss);
 * }
 * ```
 *
 * @module
 */
import { evaluatePerplexity, type Evaluation } from "../inference/perplexity.ts";
import { UserError } from "../options/user_error.ts";
import { assertGpu } from "../gpu/assert_gpu.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Scope } from "../gpu/scope.ts";
import { option, phrase } from "../options/phrase.ts";
import type { Only } from "../options/schema.ts";
import { Activity } from "./activity.ts";
import { LOSS_RING } from "./build.ts";
import { BestEvaluation } from "./best_evaluation.ts";
import { divergence, lossError } from "./divergence.ts";
import { checkpointFolder, readCheckpoint } from "../formats/checkpoint/reader.ts";
import type {
  DoneEvent,
  OnProgress,
  Saved,
  StepMetrics,
  Summary,
  TrainingEvent,
} from "./events.ts";
import { finetuneRecipe } from "./finetune_recipe.ts";
import { type FinetuneInput, finetuneOptions } from "./finetune_options.ts";
import { LossWatch } from "./loss_watch.ts";
import { Metrics, writeSummary } from "./metrics.ts";
import { type PretrainInput, pretrainOptions } from "./options.ts";
import { type OpenRun, openRun, type Preparing } from "./open_run.ts";
import type { MemoryPlan } from "./plan.ts";
import { pretrainRecipe } from "./pretrain_recipe.ts";
import type { Recipe } from "./recipe.ts";
import { isDue } from "./run_notes.ts";
import { writeSamples } from "./samples.ts";
import { Output } from "./start.ts";
import { evalEvent, planEvent, runSummary, warningEvent } from "./run_figures.ts";
import { identityOf, type RunState } from "./run_state.ts";
import { Saving } from "./saving.ts";
import { restoreTensors } from "./state.ts";
import { occupy } from "./occupy.ts";
import { Stepping } from "./stepping.ts";
import { SubmittedSteps } from "./submitted_steps.ts";
import { unlessAborted } from "./unless_aborted.ts";

export type { Preparing };

/** How a run is ended and watched. */
export interface Running {
  /**
   * Ends the run: within the step in progress where that loses nothing, otherwise after it; what was
   * trained is then saved.
   */
  readonly signal?: AbortSignal;
  /** Called with what the run is doing between its events, some of which take minutes to come. */
  readonly onProgress?: OnProgress;
}

/** A training run: open it with one of the static methods, then iterate over {@link run}. */
export class Trainer {
  /** What happens, to which weights, and on what. */
  readonly recipe: Recipe;
  /** GPU memory that the run allocates. */
  readonly plan: MemoryPlan;
  readonly #run: OpenRun;
  /** Memory, the device and the output folder, until {@link close}. */
  readonly #resources: DisposableStack;
  readonly #submitted: SubmittedSteps;
  readonly #best: BestEvaluation;
  readonly #watch: LossWatch;
  readonly #activity: Activity;
  readonly #saving: Saving;
  readonly #stepping: Stepping;
  #loss: number;
  #firstLoss: number | undefined;
  #owed: RunState["due"];
  #running = false;

  private constructor(readonly gpu: Gpu, run: OpenRun, resources: DisposableStack) {
    const state = run.resumed?.state;
    this.recipe = run.recipe;
    this.plan = run.plan;
    this.#run = run;
    this.#resources = resources;
    gpu.dependents.add(this);
    this.#submitted = new SubmittedSteps(gpu, run.memory, run.training, state?.tokens ?? 0);
    this.#best = new BestEvaluation(run.recipe.options, state?.best);
    this.#activity = new Activity();
    this.#watch = new LossWatch(state?.first_loss ?? undefined);
    this.#saving = new Saving(gpu, run);
    this.#stepping = new Stepping(gpu, run, this.#submitted, this.#activity);
    this.#loss = state?.loss ?? NaN;
    this.#firstLoss = state?.first_eval_loss;
    this.#owed = state?.due;
  }

  /** A pre-training run; see {@link open}. */
  static async pretrain<Given extends PretrainInput>(
    gpu: Gpu,
    options: Only<Given, PretrainInput>,
    preparing: Preparing = {},
  ): Promise<Trainer> {
    const parsed = pretrainOptions.parse<PretrainInput>(options);
    return await Trainer.#open(gpu, parsed.output, () => pretrainRecipe(parsed), preparing);
  }

  /** A fine-tuning run, which starts from the weights of `options.model`; see {@link open}. */
  static async finetune<Given extends FinetuneInput>(
    gpu: Gpu,
    options: Only<Given, FinetuneInput>,
    preparing: Preparing = {},
  ): Promise<Trainer> {
    const parsed = finetuneOptions.parse<FinetuneInput>(options);
    return await Trainer.#open(gpu, parsed.output, () => finetuneRecipe(parsed), preparing);
  }

  /**
   * A run of any recipe: one of this library's, perhaps with another objective, or your own. Reserves
   * the device and the output folder, reads and validates everything, plans the memory, refuses what
   * cannot fit, then allocates and initialises, or restores a checkpoint. Faults are {@link
   * UserError}s. All of it is given back when the run has ended, or by {@link close}.
   */
  static open(gpu: Gpu, recipe: Recipe, preparing: Preparing = {}): Promise<Trainer> {
    return Trainer.#open(gpu, recipe.options.output, () => Promise.resolve(recipe), preparing);
  }

  static async #open(
    gpu: Gpu,
    folder: string,
    recipe: () => Promise<Recipe>,
    preparing: Preparing,
  ): Promise<Trainer> {
    assertGpu(gpu);
    preparing.signal?.throwIfAborted();
    using resources = new DisposableStack();
    resources.use(occupy(gpu, folder));
    const output = resources.use(await Output.claim(folder));
    const memory = resources.use(gpu.account.watch());
    const scope = resources.use(new Scope(gpu));
    const opened = (async () => openRun(scope, memory, await recipe(), preparing))();
    // An aborted preparation ends a little later, and may have allocated meanwhile.
    opened.catch(() => scope.release());
    const run = await unlessAborted(opened, preparing.signal);
    const warnings = [...output.warnings, ...run.warnings];
    return new Trainer(gpu, { ...run, warnings }, resources.move());
  }

  /**
   * Gives back the memory, the device and the output folder, as the end of the run does. During a
   * run it discards what is not saved: abort its signal, or leave its loop, and it saves.
   */
  close(): void {
    this.gpu.dependents.delete(this);
    this.#resources.dispose();
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Steps done, those included whose figures are not reported yet. */
  get step(): number {
    return this.#stepping.step;
  }

  /** What is on disk now; also after a failure. */
  get saved(): Saved {
    return this.#saving.saved;
  }

  /**
   * Trains to the last step, or until the signal aborts; it then saves a checkpoint, of the step in
   * progress if it has begun to change the weights and they are not saved. Ends with a `done` event.
   * Whatever else ends it (an evaluation, a sample, the data, the disk), everything trained so far is
   * saved first, if it can be; a `failed` event says what is on disk, and the error is thrown.
   * Leaving the loop early, by `break` or an error, saves as well.
   * A trainer runs once; another one continues with `resume`.
   */
  async *run({ signal, onProgress }: Running = {}): AsyncGenerator<TrainingEvent> {
    this.#activity.onProgress = onProgress;
    if (this.#running) throw this.#over("has run, or runs");
    this.#assertOpen();
    this.#running = true;
    let metrics: Metrics | undefined, ended = false;
    try {
      yield* this.#announce();
      metrics = await Metrics.open(this.recipe.options.output, this.#step);
      const evaluation = yield* this.#train(metrics, signal);
      const done = yield* this.#finish(evaluation);
      ended = true;
      yield done;
    } catch (error) {
      if (metrics) yield* this.#rescue(metrics);
      ended = true;
      yield { type: "failed", step: this.#step, saved: this.saved };
      throw error;
    } finally {
      // Left by the caller: nobody receives what is still reported.
      if (!ended && metrics) { for await (const _ of this.#rescue(metrics)); }
      metrics?.[Symbol.dispose]();
      this.close();
    }
  }

  #assertOpen(): void {
    if (this.#resources.disposed) throw this.#over("was closed");
  }

  #over(how: string): UserError {
    return new UserError(
      `${this.recipe.options.output}: this trainer ${how}`,
      phrase`open another one, with ${option("resume", "auto")}, to continue`,
    );
  }

  *#announce(): Generator<TrainingEvent> {
    const { data, rankAdvice, warnings } = this.#run;
    yield planEvent(this.gpu, this.#run, this.#step);
    if (data.report) yield { type: "data", ...data.report };
    if (rankAdvice) yield rankAdvice;
    for (const warning of warnings) yield warningEvent(warning);
    yield* this.#dataNotes();
  }

  /** Up to the last step, or the stop, and its checkpoint; returns the last evaluation, if any. */
  async *#train(
    metrics: Metrics,
    signal?: AbortSignal,
  ): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    if (!this.#isFinished) await this.#stepping.compile(signal);
    if (this.recipe.evaluateFirst && this.#step === 0) yield* this.#evaluateFirst(signal);
    let evaluation = yield* this.#catchUp(signal);
    evaluation = (yield* this.#trainSteps(metrics, signal)) ?? evaluation;
    // A run resumed at its last step never trained.
    if (this.#isFinished) evaluation ??= yield* this.#reportEvaluation(signal);
    if (!this.#isFinished || this.#owed) {
      yield* this.#report(metrics, await this.#submitted.read());
    }
    yield* this.#save();
    return evaluation;
  }

  /** The model and the summary, unless the run was interrupted. */
  async *#finish(evaluation: Evaluation | undefined): AsyncGenerator<TrainingEvent, DoneEvent> {
    const interrupted = !this.#isFinished || this.#owed !== undefined;
    if (this.#watch.isAbove) yield warningEvent(divergence(this.#watch));
    if (!interrupted) evaluation = (yield* this.#loadBest()) ?? evaluation;
    const summary = this.#summary(evaluation);
    if (!interrupted) {
      await this.#saveModel(summary);
      await writeSummary(this.recipe.options.output, summary);
    }
    return { type: "done", interrupted, step: this.#step, saved: this.saved, summary };
  }

  get #step(): number {
    return this.#stepping.step;
  }

  /** All steps are done, or early stopping has ended the run. */
  get #isFinished(): boolean {
    return this.#step >= this.#run.data.steps || this.#best.exhausted;
  }

  async *#trainSteps(
    metrics: Metrics,
    signal?: AbortSignal,
  ): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    const { evalEvery, saveEvery, loadBestModelAtEnd } = this.recipe.options;
    const { steps, stepsPerEpoch } = this.#run.data;
    let evaluation: Evaluation | undefined;
    this.#submitted.restartClock();
    this.#saving.restartClock();
    while (!this.#isFinished && !signal?.aborted) {
      this.#assertOpen();
      const expected = this.#submitted.expectedMs(this.#step + 1) ?? 0;
      if (this.#saving.isWorthBefore(expected)) {
        yield* this.#report(metrics, await this.#submitted.read());
        yield* this.#save();
        this.#submitted.restartClock();
      }
      const taking = this.#stepping.take(this.#saving.has(this.#step), signal);
      taking.catch(() => {}); // reported below
      try {
        // Of earlier steps, while the GPU does this one.
        yield* this.#report(metrics, await this.#submitted.readBegun());
      } finally {
        // What follows, if only a rescue, needs a whole step.
        await taking;
      }
      if (!await taking) break;
      const last = this.#step === steps;
      const evaluating = last || isDue(this.#step, evalEvery, stepsPerEpoch);
      const saving = last || isDue(this.#step, saveEvery, stepsPerEpoch) || this.#saving.isDue;
      if (!evaluating && !saving) {
        if (!this.#submitted.mustRead) continue;
        const isPrepared = await this.#stepping.prepare(signal);
        this.#submitted.beginReading();
        // What the next step does, or whether it comes at all, depends on them.
        if (!isPrepared) yield* this.#report(metrics, await this.#submitted.readBegun());
        continue;
      }
      const unread = await this.#submitted.read();
      evaluation = yield* this.#report(metrics, unread, evaluating, signal);
      const isBest = evaluation && this.#best.record(this.#step, evaluation.loss);
      if (saving || this.#isFinished || (isBest && loadBestModelAtEnd)) yield* this.#save();
      this.#submitted.restartClock();
    }
    return evaluation;
  }

  /**
   * Saves what was trained when something else has ended the run. Each part is tried whatever became
   * of the others: what ended the run is the error to report.
   */
  async *#rescue(metrics: Metrics): AsyncGenerator<TrainingEvent> {
    const attempt = async function* (part: () => AsyncGenerator<TrainingEvent, unknown>) {
      try {
        yield* part();
      } catch {
        // Reported is the first failure.
      }
    };
    // Of steps that are not reported yet a loss may turn out not to be finite.
    const unread = await this.#submitted.read().catch(() => []);
    yield* attempt(() => this.#report(metrics, unread));
    yield* attempt(() => this.#save());
    // Lines that the disk had no room for: fewer checkpoints may have made some.
    await metrics.append([]).catch(() => {});
    if (this.#stepping.spoilt || !this.#isFinished) return;
    yield* attempt(() => this.#loadBest());
    await this.#saveModel(this.#summary(undefined)).catch(() => {});
  }

  async #saveModel(summary: Summary): Promise<void> {
    this.#activity.report("saving the model", this.#step);
    await this.#saving.writeModel({ ...summary, steps: this.#step });
  }

  /** With `loadBestModelAtEnd`: the weights of the best evaluation, whose figures it returns. */
  async *#loadBest(): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    const { loadBestModelAtEnd, output } = this.recipe.options, best = this.#best.state;
    if (!loadBestModelAtEnd || !best || best.step === this.#step) return undefined;
    const path = checkpointFolder(output, best.step);
    this.#activity.report("loading the best model", this.#step);
    try {
      const checkpoint = await readCheckpoint(path);
      // Weights are replaced as they are read, and checksums known only afterwards.
      await checkpoint.verify();
      await restoreTensors(this.gpu, this.#run.training, checkpoint);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      yield warningEvent(
        `the best model, of step ${best.step}, cannot be read: ${error.message}; the last one is ` +
          "saved instead",
      );
      return undefined;
    }
    return { loss: best.loss, perplexity: Math.exp(best.loss), tokens: 0 };
  }

  /** Evaluates the held-out data before the first step. */
  async *#evaluateFirst(signal?: AbortSignal): AsyncGenerator<TrainingEvent> {
    this.#firstLoss = (yield* this.#reportEvaluation(signal))?.loss;
    yield* this.#samples(signal);
  }

  async *#reportEvaluation(
    signal?: AbortSignal,
  ): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    const evaluation = await this.#evaluate(signal);
    if (evaluation) yield evalEvent(this.#step, evaluation);
    return evaluation;
  }

  async *#samples(signal?: AbortSignal): AsyncGenerator<TrainingEvent> {
    const { gpu, recipe } = this, { training, prompts } = this.#run;
    const samples = writeSamples(gpu, recipe, training, { prompts, step: this.#step, signal });
    let written = 0;
    const progress = () =>
      this.#activity.report("generating samples", this.#step, {
        done: written,
        total: prompts.length,
      });
    if (prompts.length) progress();
    try {
      for await (const sample of samples) {
        written++;
        progress();
        yield sample;
      }
    } finally {
      if (written < prompts.length) this.#owed ??= "samples";
    }
  }

  /** Does the evaluation and samples that a stop prevented before this checkpoint was saved. */
  async *#catchUp(signal?: AbortSignal): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    const due = this.#owed;
    this.#owed = undefined;
    const evaluation = due === "evaluation" ? yield* this.#reportEvaluation(signal) : undefined;
    // Its checkpoint does not know of it yet.
    if (evaluation && this.#best.record(this.#step, evaluation.loss)) this.#saving.outdate();
    if (due) yield* this.#samples(signal);
    return evaluation;
  }

  /** Reports steps whose figures were read, evaluating after the last if `evaluating`. */
  async *#report(
    metrics: Metrics,
    steps: readonly StepMetrics[],
    evaluating = false,
    signal?: AbortSignal,
  ): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    if (!steps.length) return undefined;
    this.#activity.stepsTake(steps.at(-1)!.step_ms);
    let diverges = false;
    this.#watch.startAtLeast(this.#firstLoss);
    for (const { step, loss } of steps) {
      if (!Number.isFinite(loss)) {
        this.#stepping.spoil();
        throw lossError(step, loss, this.saved);
      }
      this.#loss = loss;
      diverges = this.#watch.add(loss) || diverges;
    }
    let evaluation: Evaluation | undefined, failure: { error: unknown } | undefined;
    try {
      evaluation = evaluating ? await this.#evaluate(signal) : undefined;
    } catch (error) {
      // The steps are reported all the same.
      failure = { error };
      this.#owed = "evaluation";
    }
    const figures = evaluation &&
      { eval_loss: evaluation.loss, eval_perplexity: evaluation.perplexity };
    const lines = steps.map((step) => step.step === this.#step ? { ...step, ...figures } : step);
    // Whoever watches has them even if the disk does not: a checkpoint that follows is after them.
    await metrics.append(lines).catch((error) => failure ??= { error });
    for (const line of lines) yield { type: "step", ...line };
    if (failure) throw failure.error;
    yield* this.#dataNotes();
    if (diverges) yield warningEvent(divergence(this.#watch, steps.at(-1)!.step));
    if (evaluation) yield evalEvent(this.#step, evaluation);
    if (evaluating) yield* this.#samples(signal);
    return evaluation;
  }

  /** What was found in the data since the last report. */
  *#dataNotes(): Generator<TrainingEvent> {
    for (const note of this.#run.data.batches.takeNotes?.() ?? []) yield warningEvent(note);
  }

  /** Undefined if nothing is held out, or if the signal aborted it. */
  async #evaluate(signal?: AbortSignal): Promise<Evaluation | undefined> {
    const { gpu, recipe } = this, { training: { model, ...buffers } } = this.#run;
    const batches = await recipe.openEvaluation();
    if (!batches) return undefined;
    const onBatch = this.#activity.batches(this.#step);
    try {
      const options = { signal, onBatch };
      return await evaluatePerplexity(
        gpu,
        model,
        { ...buffers, index: LOSS_RING },
        batches,
        options,
      );
    } catch (error) {
      if (!signal?.aborted) throw error;
      this.#owed = "evaluation";
      return undefined;
    }
  }

  /** Writes a checkpoint of this step, unless the newest one already is. */
  async *#save(): AsyncGenerator<TrainingEvent> {
    this.#stepping.discard();
    if (this.#stepping.spoilt || this.#saving.has(this.#step)) return;
    this.#activity.report("saving a checkpoint", this.#step);
    const { recipe } = this, { training, schedule } = this.#run;
    const state: RunState = {
      step: this.#step,
      tokens: this.#submitted.totalTokens,
      loss: this.#loss,
      first_loss: this.#watch.first,
      schedule,
      best: this.#best.state,
      lazy: training.optimizer.lazyStates(),
      first_eval_loss: this.#firstLoss,
      due: this.#owed,
      data: this.#stepping.position,
      base: recipe.base,
      ...identityOf(recipe),
    };
    const spare = recipe.options.loadBestModelAtEnd ? this.#best.state?.step : undefined;
    const results = { ...this.#summary(undefined), steps: this.#step };
    yield await this.#saving.writeCheckpoint(state, results, spare);
  }

  #summary(evaluation: Evaluation | undefined): Summary {
    return runSummary(this.gpu, this.#run, {
      step: this.#step,
      loss: this.#loss,
      firstEvaluation: this.#firstLoss,
      evaluation,
      watch: this.#watch,
      best: this.#best,
      submitted: this.#submitted,
    });
  }
}

/**
 * A run from its first step to its last, and what is saved and reported on the way: the figures of
 * steps come late ({@link SubmittedSteps}), so what happens after a step reads them first.
 */
import type { Gpu } from "../gpu/gpu.ts";
import { collectGarbage } from "../host/collect_garbage.ts";
import type { Evaluation } from "../inference/perplexity.ts";
import { UserError } from "../options/user_error.ts";
import { checkpointFolder, readCheckpoint } from "../formats/checkpoint/reader.ts";
import { Activity } from "./activity.ts";
import { divergence, isFiniteStep, notFiniteError } from "./divergence.ts";
import { Evaluating } from "./evaluating.ts";
import { follow } from "./follower.ts";
import type {
  DoneEvent,
  OnProgress,
  RunPhase,
  Saved,
  StepMetrics,
  Summary,
  TrainingEvent,
} from "./events.ts";
import { LossWatch } from "./loss_watch.ts";
import { Metrics, writeSummary } from "./metrics.ts";
import type { OpenRun } from "./open_run.ts";
import { ofOneRank } from "./rank_options.ts";
import { evalEvent, planEvent, runSummary, warningEvent } from "./run_figures.ts";
import { isDue } from "./run_notes.ts";
import { identityOf } from "./run_identity.ts";
import { RunRecorder } from "./run_record.ts";
import type { RunState } from "./run_state.ts";
import { Saving } from "./saving.ts";
import { restoreTensors } from "./state.ts";
import { Stepping } from "./stepping.ts";
import { SubmittedSteps } from "./submitted_steps.ts";

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

export class TrainingLoop {
  readonly #submitted: SubmittedSteps;
  readonly #watch: LossWatch;
  readonly #activity: Activity;
  readonly #evaluating: Evaluating;
  readonly #saving: Saving;
  readonly #stepping: Stepping;
  #loss: number;

  /** `assertOpen` throws once the memory of the run has been given back. */
  constructor(
    private readonly gpu: Gpu,
    private readonly opened: OpenRun,
    private readonly assertOpen: () => void,
  ) {
    const state = opened.resumed?.state;
    this.#submitted = new SubmittedSteps(gpu, opened.memory, opened.training, state?.tokens ?? 0);
    this.#activity = new Activity();
    this.#watch = new LossWatch(state?.first_loss ?? undefined);
    this.#evaluating = new Evaluating(gpu, opened, this.#activity);
    this.#saving = new Saving(gpu, opened, this.#activity);
    this.#stepping = new Stepping(gpu, opened, this.#submitted, this.#activity);
    this.#loss = state?.loss ?? NaN;
  }

  /** Steps done, those included whose figures are not reported yet. */
  get step(): number {
    return this.#stepping.step;
  }

  /** What is on disk now; also after a failure. */
  get saved(): Saved {
    return this.#saving.saved;
  }

  /** As {@link Running} says; leaving the iteration early saves as well. */
  async *run(running: Running): AsyncGenerator<TrainingEvent> {
    const { recipe: { options }, team } = this.opened;
    if (team && team.ranks.rank > 0) {
      return await follow(team, this.#stepping, this.#submitted, running.signal);
    }
    const given = ofOneRank(options, team?.ranks.size);
    using recorder = new RunRecorder(given, () => this.#submitted.takeRefreshes());
    for await (const event of this.#run(running)) {
      await recorder.handle(event);
      yield event;
    }
  }

  async *#run({ signal: given, onProgress }: Running): AsyncGenerator<TrainingEvent> {
    const { team } = this.opened;
    const signal = team ? AbortSignal.any([team.stopped, ...given ? [given] : []]) : given;
    this.#activity.onProgress = onProgress;
    let metrics: Metrics | undefined, ended = false;
    try {
      yield* this.#announce();
      metrics = await Metrics.open(this.opened.recipe.options.output, this.step);
      const evaluation = yield* this.#train(metrics, signal);
      const done = yield* this.#finish(evaluation);
      await team?.dismiss("end");
      ended = true;
      yield done;
    } catch (error) {
      if (metrics) yield* this.#rescue(metrics);
      // Reported is the first failure.
      await team?.dismiss("failed").catch(() => {});
      ended = true;
      yield { type: "failed", step: this.step, saved: this.saved };
      throw error;
    } finally {
      // Left by the caller: nobody receives what is still reported.
      if (!ended) {
        if (metrics) { for await (const _ of this.#rescue(metrics)); }
        await team?.dismiss("end");
      }
      metrics?.[Symbol.dispose]();
    }
  }

  *#announce(): Generator<TrainingEvent> {
    const { data, rankAdvice, warnings } = this.opened;
    yield planEvent(this.gpu, this.opened, this.step);
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
    collectGarbage();
    if (this.opened.recipe.evaluateFirst && this.step === 0) yield* this.#evaluating.first(signal);
    let evaluation = yield* this.#catchUp(signal);
    evaluation = (yield* this.#trainSteps(metrics, signal)) ?? evaluation;
    // A run resumed at its last step never trained.
    if (this.#isFinished) evaluation ??= yield* this.#evaluating.report(this.step, signal);
    if (!this.#isFinished || this.#evaluating.due) {
      yield* this.#report(metrics, await this.#submitted.read());
    }
    await this.#checkRanks();
    yield* this.#save();
    return evaluation;
  }

  /** With several ranks: they have the same state, or else nothing more is worth saving. */
  async #checkRanks(): Promise<void> {
    try {
      await this.opened.team?.check(this.step);
    } catch (error) {
      this.#stepping.spoil();
      throw error;
    }
  }

  /** The model and the summary, unless the run was interrupted. */
  async *#finish(evaluation: Evaluation | undefined): AsyncGenerator<TrainingEvent, DoneEvent> {
    const interrupted = !this.#isFinished || this.#evaluating.due !== undefined;
    if (this.#watch.isAbove) yield warningEvent(divergence(this.#watch));
    if (!interrupted) evaluation = (yield* this.#loadBest()) ?? evaluation;
    const summary = this.#summary(evaluation);
    if (!interrupted) {
      await this.#saveModel(summary);
      await writeSummary(this.opened.recipe.options.output, summary);
    }
    return { type: "done", interrupted, step: this.step, saved: this.saved, summary };
  }

  /** All steps are done, or early stopping has ended the run, which only a meeting may. */
  get #isFinished(): boolean {
    const { data: { steps }, local } = this.opened;
    return this.step >= steps ||
      this.#evaluating.best.exhausted && (local?.meetsAt(this.step) ?? true);
  }

  async *#trainSteps(
    metrics: Metrics,
    signal?: AbortSignal,
  ): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    const { saveEvery, loadBestModelAtEnd } = this.opened.recipe.options;
    const { data: { steps, stepsPerEpoch }, team } = this.opened;
    let evaluation: Evaluation | undefined;
    this.#submitted.restartClock();
    this.#saving.restartClock();
    while (!this.#isFinished && !signal?.aborted) {
      this.assertOpen();
      const expected = this.#submitted.expectedMs(this.step + 1) ?? 0;
      // A step that ranks share is not stopped within.
      if (!team && this.#saving.isWorthBefore(expected)) {
        yield* this.#report(metrics, await this.#submitted.read());
        yield* this.#save();
        this.#submitted.restartClock();
      }
      if (team) {
        // A step that is ordered is done by all of them: no signal ends it.
        if (!await this.#stepping.ready(signal)) break;
        await team.order("step");
      }
      const taking = this.#stepping.take(this.#saving.has(this.step), team ? undefined : signal);
      taking.catch(() => {}); // reported below
      try {
        // Of earlier steps, while the GPU does this one.
        yield* this.#report(metrics, await this.#submitted.readBegun());
      } finally {
        // What follows, if only a rescue, needs a whole step.
        await taking;
      }
      if (!await taking) break;
      const last = this.step === steps;
      const evaluating = last || this.#isEvaluationDue;
      const saving = last || isDue(this.step, saveEvery, stepsPerEpoch) || this.#saving.isDue;
      if (!evaluating && !saving) {
        if (!this.#submitted.mustRead) continue;
        const isPrepared = await this.#stepping.prepare(signal);
        this.#submitted.beginReading();
        // What the next step does, or whether it comes at all, depends on them.
        if (!isPrepared) yield* this.#report(metrics, await this.#submitted.readBegun());
        continue;
      }
      const unread = await this.#submitted.read();
      await this.#checkRanks();
      evaluation = yield* this.#report(metrics, unread, evaluating, signal);
      const isBest = evaluation && this.#evaluating.best.record(this.step, evaluation.loss);
      if (saving || this.#isFinished || (isBest && loadBestModelAtEnd)) yield* this.#save();
      this.#submitted.restartClock();
    }
    return evaluation;
  }

  get #isEvaluationDue(): boolean {
    const { recipe: { options: { evalEvery } }, data: { stepsPerEpoch }, local } = this.opened;
    const steps = local ? local.stepsMetAt(this.step) : [this.step];
    return steps.some((step) => isDue(step, evalEvery, stepsPerEpoch));
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
    await this.#saving.writeModel({ ...summary, steps: this.step });
  }

  /** With `loadBestModelAtEnd`: the weights of the best evaluation, whose figures it returns. */
  async *#loadBest(): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    const { loadBestModelAtEnd, output } = this.opened.recipe.options;
    const best = this.#evaluating.best.state;
    if (!loadBestModelAtEnd || !best || best.step === this.step) return undefined;
    const path = checkpointFolder(output, best.step);
    const progressOf = (phase: RunPhase) => (done: number, total?: number) =>
      this.#activity.report(phase, this.step, { done, total });
    const checking = progressOf("checking the best model");
    checking(0);
    try {
      const checkpoint = await readCheckpoint(path), { training } = this.opened;
      // Weights are replaced as they are read, and checksums known only afterwards.
      await checkpoint.verify({ onProgress: checking });
      if (training.optimizer.shape.shares?.weights) this.#saving.takeModelFrom(path);
      else {
        await restoreTensors(this.gpu, training, checkpoint, progressOf("loading the best model"));
      }
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

  /** Does the evaluation and samples that a stop prevented before this checkpoint was saved. */
  async *#catchUp(signal?: AbortSignal): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    const evaluating = this.#evaluating, { step } = this, due = evaluating.takeDue();
    const evaluation = due === "evaluation" ? yield* evaluating.report(step, signal) : undefined;
    // Its checkpoint does not know of it yet.
    if (evaluation && evaluating.best.record(step, evaluation.loss)) this.#saving.outdate();
    if (due) yield* evaluating.samples(step, signal);
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
    this.#watch.startAtLeast(this.#evaluating.firstLoss);
    for (const figures of steps) {
      if (!isFiniteStep(figures)) {
        this.#stepping.spoil();
        throw notFiniteError(figures, this.saved);
      }
      this.#loss = figures.loss;
      diverges = this.#watch.add(figures.loss) || diverges;
    }
    let evaluation: Evaluation | undefined, failure: { error: unknown } | undefined;
    try {
      if (evaluating) evaluation = await this.#evaluating.evaluate(this.step, signal);
    } catch (error) {
      // The steps are reported all the same.
      failure = { error };
    }
    const figures = evaluation &&
      { eval_loss: evaluation.loss, eval_perplexity: evaluation.perplexity };
    const lines = steps.map((step) => step.step === this.step ? { ...step, ...figures } : step);
    // Whoever watches has them even if the disk does not: a checkpoint that follows is after them.
    await metrics.append(lines).catch((error) => failure ??= { error });
    for (const line of lines) yield { type: "step", ...line };
    if (failure) throw failure.error;
    yield* this.#dataNotes();
    if (diverges) yield warningEvent(divergence(this.#watch, steps.at(-1)!.step));
    if (evaluation) yield evalEvent(this.step, evaluation);
    if (evaluating) yield* this.#evaluating.samples(this.step, signal);
    return evaluation;
  }

  /** What was found in the data since the last report. */
  *#dataNotes(): Generator<TrainingEvent> {
    for (const note of this.opened.data.batches.takeNotes?.() ?? []) yield warningEvent(note);
  }

  /** Writes a checkpoint of this step, unless the newest one already is. */
  async *#save(): AsyncGenerator<TrainingEvent> {
    this.#stepping.discard();
    if (this.#stepping.spoilt || this.#saving.has(this.step)) return;
    const { recipe, training, schedule } = this.opened;
    const state: RunState = {
      step: this.step,
      tokens: this.#submitted.totalTokens,
      loss: this.#loss,
      first_loss: this.#watch.first,
      schedule,
      best: this.#evaluating.best.state,
      lazy: training.optimizer.refreshes.lazy,
      first_eval_loss: this.#evaluating.firstLoss,
      due: this.#evaluating.due,
      data: this.#stepping.position,
      base: recipe.base,
      base_mark: this.opened.baseMark,
      ...identityOf(recipe),
    };
    const spare = recipe.options.loadBestModelAtEnd ? this.#evaluating.best.state?.step : undefined;
    const results = { ...this.#summary(undefined), steps: this.step };
    yield await this.#saving.writeCheckpoint(state, results, spare);
  }

  #summary(evaluation: Evaluation | undefined): Summary {
    return runSummary(this.gpu, this.opened, {
      step: this.step,
      loss: this.#loss,
      firstEvaluation: this.#evaluating.firstLoss,
      evaluation,
      watch: this.#watch,
      best: this.#evaluating.best,
      submitted: this.#submitted,
    });
  }
}

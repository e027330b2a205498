/**
 * The training loop: data in, typed events out, everything that must survive on disk.
 *
 * @example
 * ```ts
 * const gpu = await Gpu.open();
 * const options = pretrainOptions.parse({
 *   model: "llama_nano",
 *   data: ["texts/"],
 *   output: "runs/nano",
 *   steps: 200,
 * });
 * const trainer = await Trainer.pretrain(gpu, options);
 * for await (const event of trainer.run()) {
 *   if (event.type === "step") console.log(event.step, event.loss);
 * }
 * ```
 *
 * @module
 */
import { evaluatePerplexity, type Evaluation } from "../inference/perplexity.ts";
import { UserError } from "../options/user_error.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { elementsOf } from "../numbers/layout.ts";
import { parameterCount } from "../model/description.ts";
import { uploadRope } from "../model/llama.ts";
import { learningRate } from "../optim/schedules.ts";
import { option, type Phrase, phrase, spell } from "../options/phrase.ts";
import { PROPERTIES } from "../options/spelling.ts";
import { buildTraining, LOSS_RING, type Training } from "./build.ts";
import { type Checkpoint, pruneCheckpoints, writeCheckpoint } from "./checkpoint.ts";
import type {
  EvalEvent,
  OnPreparation,
  PlanEvent,
  RankAdviceEvent,
  StepMetrics,
  Summary,
  TrainingEvent,
  WarningEvent,
} from "./events.ts";
import { finetuneRecipe } from "./finetune_recipe.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import { gpuMemoryLimit } from "./gpu_memory.ts";
import { Metrics, writeSummary } from "./metrics.ts";
import type { PretrainOptions } from "./options.ts";
import { assertFits, type MemoryPlan } from "./plan.ts";
import { pretrainRecipe } from "./pretrain_recipe.ts";
import { adviseRanks, withRanks } from "./choose_ranks.ts";
import type { Recipe, TrainingData } from "./recipe.ts";
import { type SamplePrompt, samplePrompts, writeSamples } from "./samples.ts";
import { makeOutput, startingPoint } from "./start.ts";
import { assertSameRun, identityOf, readRunState, type RunState } from "./run_state.ts";
import { restoreTensors, stateEntries } from "./state.ts";
import { trainStep } from "./step.ts";
import { adapterName } from "../gpu/adapter.ts";

/** A submitted step whose loss has not been read yet. */
interface PendingStep {
  readonly step: number;
  readonly lr: number;
  readonly targets: number;
  /** Divisor of its loss sum. */
  readonly divisor: number;
}

export interface Preparing {
  /**
   * Called with the progress of slow preparations before the first event of {@link Trainer.run}.
   */
  readonly onPreparation?: OnPreparation;
}

export class Trainer {
  #step = 0;
  #tokens = 0;
  #pending: PendingStep[] = [];
  #lastRead = 0;
  #lastLoss = NaN;
  #firstLoss: number | undefined;
  #lastCheckpoint: string | undefined;
  #savedStep = 0;
  #owed: RunState["due"];
  #tokensHere = 0;
  #secondsHere = 0;

  private constructor(
    readonly gpu: Gpu,
    readonly recipe: Recipe,
    readonly plan: MemoryPlan,
    readonly warnings: readonly Phrase[],
    readonly rankAdvice: RankAdviceEvent | undefined,
    private readonly training: Training,
    private readonly data: TrainingData,
    private readonly prompts: readonly SamplePrompt[],
  ) {}

  /** A pre-training run; see {@link open}. */
  static async pretrain(
    gpu: Gpu,
    options: PretrainOptions,
    preparing: Preparing = {},
  ): Promise<Trainer> {
    return await Trainer.open(gpu, await pretrainRecipe(options), preparing);
  }

  /** A fine-tuning run, which starts from the weights of `options.model`; see {@link open}. */
  static async finetune(
    gpu: Gpu,
    options: FinetuneOptions,
    preparing: Preparing = {},
  ): Promise<Trainer> {
    return await Trainer.open(gpu, await finetuneRecipe(options), preparing);
  }

  /**
   * A run of any recipe: one of this library's, perhaps with another objective, or your own. Reads
   * and validates everything, plans the memory, refuses what cannot fit, then allocates and
   * initialises, or restores a checkpoint. Faults are {@link UserError}s.
   */
  static async open(
    gpu: Gpu,
    given: Recipe,
    { onPreparation }: Preparing = {},
  ): Promise<Trainer> {
    const { options, config } = given;
    const warnings = [...given.warnings];
    const checkpoint = await startingPoint(options, (message) => warnings.push(message));
    const state = checkpoint && readRunState(checkpoint);
    const auto = options.rank === "auto";
    let recipe = auto && state
      ? withRanks(given, state.shape.optimizer.projection?.ranks ?? {})
      : given;
    if (checkpoint) assertSameRun(checkpoint.path, state!, identityOf(recipe));
    const prompts = await samplePrompts(recipe);
    const data = await recipe.openData(state?.data, onPreparation);
    warnings.push(...data.warnings);
    await makeOutput(options.output);
    const { capabilities } = gpu;
    const limit = gpuMemoryLimit(gpu, options.gpuMemory);
    const advice = auto && !checkpoint
      ? await adviseRanks(gpu, recipe, { share: options.energyShare, limit, onPreparation })
      : undefined;
    recipe = advice?.recipe ?? recipe;
    const { objective } = recipe;
    const needed = assertFits(config, recipe.shape, capabilities, limit, objective);
    const plannedPeakBytes = Math.max(needed.plannedPeakBytes, advice?.plannedPeakBytes ?? 0);
    const plan = { ...needed, plannedPeakBytes };
    const training = buildTraining(gpu, config, recipe.shape, capabilities, objective);
    await gpu.check();
    const trainer = new Trainer(
      gpu,
      recipe,
      plan,
      warnings,
      advice?.event,
      training,
      data,
      prompts,
    );
    uploadRope(gpu, training.model);
    await recipe.start(gpu, training, onPreparation);
    if (checkpoint) await trainer.#restore(checkpoint, state!);
    await gpu.check();
    // Delete only after everything that can fail has succeeded.
    if (options.overwriteOutput) await pruneCheckpoints(options.output, 0);
    return trainer;
  }

  /**
   * Trains to the last step, or until the signal aborts; it then finishes the step and saves a
   * checkpoint. Ends with a `done` event, or throws.
   */
  async *run({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<TrainingEvent> {
    const { recipe: { options }, data: { steps } } = this;
    yield this.#planEvent();
    if (this.rankAdvice) yield this.rankAdvice;
    for (const warning of this.warnings) yield warningEvent(warning);
    using metrics = await Metrics.open(options.output, this.#step);
    if (this.recipe.evaluateFirst && this.#step === 0) yield* this.#evaluateFirst(signal);
    let evaluation = yield* this.#catchUp(signal);
    this.#lastRead = performance.now();

    while (this.#step < steps && !signal?.aborted) {
      await this.#submitStep();
      const last = this.#step === steps;
      const evaluating = last || isMultiple(this.#step, options.evalEvery);
      const saving = last || isMultiple(this.#step, options.saveEvery);
      if (!evaluating && !saving && !this.#mustRead()) continue;
      evaluation = yield* this.#report(metrics, evaluating, signal);
      if (saving) yield* this.#save();
      this.#lastRead = performance.now();
    }

    // A run resumed at its last step never entered the loop.
    if (this.#step === steps) evaluation ??= yield* this.#reportEvaluation(signal);
    const interrupted = this.#step < steps || this.#owed !== undefined;
    if (interrupted) {
      yield* this.#report(metrics, false);
      yield* this.#save();
    }
    const summary = this.#summary(evaluation);
    if (!interrupted) {
      await this.recipe.save(this.gpu, this.training);
      await writeSummary(options.output, summary);
    }
    yield { type: "done", interrupted, summary };
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
    const { gpu, recipe, training, prompts } = this;
    let written = 0;
    for await (
      const sample of writeSamples(gpu, recipe, training, { prompts, step: this.#step, signal })
    ) {
      written++;
      yield sample;
    }
    if (written < prompts.length) this.#owed ??= "samples";
  }

  /** Does the evaluation and samples that a stop prevented before this checkpoint was saved. */
  async *#catchUp(signal?: AbortSignal): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    const due = this.#owed;
    this.#owed = undefined;
    const evaluation = due === "evaluation" ? yield* this.#reportEvaluation(signal) : undefined;
    if (due) yield* this.#samples(signal);
    return evaluation;
  }

  /** Waits for the submitted steps and reports them, evaluating after the last if `evaluating`. */
  async *#report(
    metrics: Metrics,
    evaluating: boolean,
    signal?: AbortSignal,
  ): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    if (!this.#pending.length) return undefined;
    const steps = await this.#readSteps();
    const evaluation = evaluating ? await this.#evaluate(signal) : undefined;
    const figures = evaluation &&
      { eval_loss: evaluation.loss, eval_perplexity: evaluation.perplexity };
    for (const step of steps) {
      const line = step.step === this.#step ? { ...step, ...figures } : step;
      await metrics.append(line);
      yield { type: "step", ...line };
    }
    if (evaluation) yield evalEvent(this.#step, evaluation);
    if (evaluating) yield* this.#samples(signal);
    return evaluation;
  }

  async #submitStep(): Promise<void> {
    const { recipe: { options, rates }, training, data } = this;
    const batches = [];
    for (let i = 0; i < options.gradientAccumulation; i++) {
      batches.push((await data.batches.next())!); // training data repeats endlessly
    }
    const step = ++this.#step;
    const lr = learningRate({ ...options, ...data }, step - 1);
    const lossIndex = step % LOSS_RING;
    const divisor = trainStep(this.gpu, training, batches, { step, lr, rates, lossIndex });
    const targets = batches.reduce((sum, { tokens }) => sum + tokens, 0);
    this.#tokens += targets;
    this.#pending.push({ step, lr, targets, divisor });
  }

  /**
   * A read waits for the GPU, so losses are fetched several at a time; at once when the lazy rule
   * needs this step's similarities, and often enough for someone watching.
   */
  #mustRead(): boolean {
    return this.training.optimizer.refreshes || this.#pending.length === LOSS_RING ||
      performance.now() - this.#lastRead > 250;
  }

  /** Fetches the losses of the submitted steps; throws if one is not finite. */
  async #readSteps(): Promise<StepMetrics[]> {
    const { gpu, training: { losses, optimizer } } = this;
    const sums = new Float32Array((await gpu.read(losses)).buffer);
    // Steps with refreshes are read at once, so such a step is the last one read.
    const refreshed = optimizer.refreshes ? { refreshed: optimizer.refreshed } : undefined;
    if (refreshed) {
      const bytes = await gpu.read(optimizer.scratch.similarities);
      optimizer.recordSimilarities(new Float32Array(bytes.buffer));
    }
    const steps = this.#pending.splice(0);
    const seconds = (performance.now() - this.#lastRead) / 1000;
    const targets = steps.reduce((sum, step) => sum + step.targets, 0);
    this.#tokensHere += targets;
    this.#secondsHere += seconds;
    let tokens = this.#tokens - targets;
    return steps.map(({ step, lr, targets: own, divisor }) => {
      const loss = sums[step % LOSS_RING] / (divisor || 1);
      if (!Number.isFinite(loss)) this.#refuseLoss(step, loss);
      this.#lastLoss = loss;
      tokens += own;
      return {
        step,
        loss,
        lr,
        tokens,
        tokens_per_second: targets / seconds,
        step_ms: (1000 * seconds) / steps.length,
        gpu_bytes: gpu.account.live,
        gpu_peak_bytes: gpu.account.peak,
        subspace_refreshes: optimizer.refreshCount,
        ...(step === this.#step ? refreshed : undefined),
      };
    });
  }

  #refuseLoss(step: number, loss: number): never {
    const good = this.#lastCheckpoint;
    throw new UserError(
      `step ${step}: the loss is ${loss}; ` +
        (good ? `the last good checkpoint is ${good}` : "there is no checkpoint yet"),
      phrase`lower ${option("lr")}, lengthen ${option("warmupSteps")}, or try
        ${option("dtype", "float32")}; nothing was written over`,
    );
  }

  /** Undefined if nothing is held out, or if the signal aborted it. */
  async #evaluate(signal?: AbortSignal): Promise<Evaluation | undefined> {
    const { gpu, recipe, training: { model, ...buffers } } = this;
    const batches = await recipe.openEvaluation();
    if (!batches) return undefined;
    try {
      return await evaluatePerplexity(
        gpu,
        model,
        { ...buffers, index: LOSS_RING },
        batches,
        signal,
      );
    } catch (error) {
      if (!signal?.aborted) throw error;
      this.#owed = "evaluation";
      return undefined;
    }
  }

  /** Writes a checkpoint of this step, unless the newest one already is. */
  async *#save(): AsyncGenerator<TrainingEvent> {
    const { gpu, recipe: { options, config, shape, rates }, training } = this;
    const objective = training.objective.name;
    if (this.#step === this.#savedStep) return;
    const state: RunState = {
      step: this.#step,
      tokens: this.#tokens,
      loss: this.#lastLoss,
      lazy: training.optimizer.lazyStates(),
      first_eval_loss: this.#firstLoss,
      due: this.#owed,
      data: this.data.batches.position(),
      config,
      shape,
      rates,
      objective,
    };
    const entries = stateEntries(gpu, training);
    const path = await writeCheckpoint(options.output, { step: this.#step, entries, state });
    await pruneCheckpoints(options.output, options.keepCheckpoints);
    this.#lastCheckpoint = path;
    this.#savedStep = this.#step;
    yield { type: "checkpoint", step: this.#step, path };
  }

  async #restore(checkpoint: Checkpoint, state: RunState): Promise<void> {
    await restoreTensors(this.gpu, this.training, checkpoint);
    this.training.optimizer.restoreLazyStates(state.lazy);
    this.#step = state.step;
    this.#tokens = state.tokens;
    this.#lastLoss = state.loss;
    this.#firstLoss = state.first_eval_loss;
    this.#owed = state.due;
    this.#lastCheckpoint = checkpoint.path;
    this.#savedStep = state.step;
  }

  #planEvent(): PlanEvent {
    return {
      type: "plan",
      parameters: parameterCount(this.recipe.config),
      trained_parameters: trainedCount(this.training),
      steps: this.data.steps,
      resumed_step: this.#step,
      planned_peak_bytes: this.plan.plannedPeakBytes,
      by_purpose: this.plan.byPurpose,
      adapter: adapterName(this.gpu.adapter),
    };
  }

  #summary(evaluation: Evaluation | undefined): Summary {
    const { optimizer } = this.training;
    const fixed = Math.ceil(this.#step / this.recipe.options.updateProjGap);
    return {
      final_loss: this.#lastLoss,
      first_eval_loss: this.#firstLoss,
      eval_loss: evaluation?.loss,
      eval_perplexity: evaluation?.perplexity,
      tokens: this.#tokens,
      tokens_per_second: this.#tokensHere / Math.max(1e-9, this.#secondsHere),
      planned_peak_bytes: this.plan.plannedPeakBytes,
      gpu_peak_bytes: this.gpu.account.peak,
      subspace_refreshes: optimizer.refreshCount,
      subspace_refreshes_fixed_interval: optimizer.projectors.length * fixed,
      adapter: adapterName(this.gpu.adapter),
    };
  }
}

function evalEvent(step: number, { loss, perplexity, tokens }: Evaluation): EvalEvent {
  return { type: "eval", step, eval_loss: loss, eval_perplexity: perplexity, tokens };
}

function warningEvent(warning: Phrase): WarningEvent {
  const message = spell(warning, PROPERTIES);
  return { type: "warning", message, ...(message === warning ? undefined : { phrase: warning }) };
}

function isMultiple(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}

function trainedCount({ optimizer }: Training): number {
  return optimizer.states.reduce(
    (sum, { parameter }) => sum + elementsOf(parameter),
    0,
  );
}

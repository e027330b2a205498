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
 * const trainer = await Trainer.create(gpu, options);
 * for await (const event of trainer.run()) {
 *   if (event.type === "step") console.log(event.step, event.loss);
 * }
 * ```
 *
 * @module
 */
import { join } from "@std/path";
import { BatchStream } from "../data/batches.ts";
import { loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { evaluatePerplexity, type Evaluation } from "../eval/perplexity.ts";
import { writeHfConfig } from "../formats/hf_config.ts";
import { saveWeights } from "../formats/pretrained.ts";
import { UserError } from "../gpu/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { machineOf } from "../kernels/machine.ts";
import { type LlamaConfig, parameterCount } from "../model/config.ts";
import { initialize } from "../model/initialize.ts";
import { uploadRope } from "../model/llama.ts";
import { learningRate } from "../optim/schedules.ts";
import { buildTraining, LOSS_RING, type Training, type TrainingShape } from "./build.ts";
import { type Checkpoint, pruneCheckpoints, writeCheckpoint } from "./checkpoint.ts";
import type { PlanEvent, StepMetrics, Summary, TrainingEvent } from "./events.ts";
import { gpuMemoryLimit } from "./gpu_memory.ts";
import { resolveRunConfig, shapeWarnings, trainingShape } from "./method.ts";
import { Metrics, writeSummary } from "./metrics.ts";
import type { PretrainOptions } from "./options.ts";
import { assertFits, type MemoryPlan } from "./plan.ts";
import { dataOptions, makeOutput, startingPoint } from "./start.ts";
import { assertSameRun, restoreTensors, type RunState, stateEntries } from "./state.ts";
import { trainStep } from "./step.ts";

/** A step that was submitted and whose loss has not been read. */
interface PendingStep {
  readonly step: number;
  readonly lr: number;
  readonly targets: number;
}

export class Trainer {
  #step = 0;
  #tokens = 0;
  #pending: PendingStep[] = [];
  #lastRead = 0;
  #lastLoss = NaN;
  #lastCheckpoint: string | undefined;
  #savedStep = 0;
  #tokensHere = 0;
  #secondsHere = 0;

  private constructor(
    readonly gpu: Gpu,
    readonly options: PretrainOptions,
    readonly config: LlamaConfig,
    readonly shape: TrainingShape,
    readonly tokenizer: Tokenizer,
    readonly plan: MemoryPlan,
    readonly warnings: readonly string[],
    private readonly training: Training,
    private readonly data: BatchStream,
  ) {}

  /**
   * Reads and checks everything, plans the memory, refuses what cannot fit, then allocates and
   * initialises, or restores a checkpoint. Faults are {@link UserError}s.
   */
  static async create(gpu: Gpu, options: PretrainOptions): Promise<Trainer> {
    const warnings: string[] = [];
    const tokenizer = await loadTokenizer(options.tokenizer);
    const config = await resolveRunConfig(options, tokenizer);
    const shape = trainingShape(options, config);
    warnings.push(...shapeWarnings(config, shape));
    const checkpoint = await startingPoint(options, (message) => warnings.push(message));
    const state = checkpoint?.state as RunState | undefined;
    if (checkpoint) assertSameRun(checkpoint.path, state!, { config, shape });
    const data = await BatchStream.open({
      ...dataOptions(options, tokenizer),
      split: "train",
      repeat: true,
      position: state?.data,
    });
    await makeOutput(options.output);
    const machine = machineOf(gpu);
    const plan = assertFits(config, shape, machine, gpuMemoryLimit(gpu, options.gpuMemory));
    const training = buildTraining(gpu, config, shape, machine);
    await gpu.check();
    const trainer = new Trainer(
      gpu,
      options,
      config,
      shape,
      tokenizer,
      plan,
      warnings,
      training,
      data,
    );
    uploadRope(gpu, training.model);
    if (checkpoint) await trainer.#restore(checkpoint, state!);
    else trainer.#initialize();
    await gpu.check();
    return trainer;
  }

  /**
   * Trains to the last step, or until the signal aborts: then the step is finished and saved. Ends
   * with a `done` event, or throws.
   */
  async *run({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<TrainingEvent> {
    const { options } = this;
    yield this.#planEvent();
    for (const message of this.warnings) yield { type: "warning", message };
    using metrics = await Metrics.open(options.output, this.#step);
    this.#lastRead = performance.now();
    let evaluation: Evaluation | undefined;

    while (this.#step < options.steps && !signal?.aborted) {
      await this.#submitStep();
      const last = this.#step === options.steps;
      const evaluating = last || isMultiple(this.#step, options.evalEvery);
      const saving = last || isMultiple(this.#step, options.saveEvery);
      if (!evaluating && !saving && !this.#mustRead()) continue;
      evaluation = yield* this.#report(metrics, evaluating);
      if (saving) yield* this.#save();
      this.#lastRead = performance.now();
    }

    const interrupted = this.#step < options.steps;
    if (interrupted) {
      yield* this.#report(metrics, false);
      yield* this.#save();
    }
    // A run resumed at its last step has not been through the loop.
    if (!interrupted) evaluation ??= await this.#evaluate();
    const summary = this.#summary(evaluation);
    if (!interrupted) {
      await this.saveModel(join(options.output, "model"));
      await writeSummary(options.output, summary);
    }
    yield { type: "done", interrupted, summary };
  }

  /** Writes the model as it is now in Hugging Face's layout, tokenizer included. */
  async saveModel(directory: string): Promise<void> {
    await Deno.mkdir(directory, { recursive: true });
    await saveWeights(this.gpu, this.training.model.parameters, directory, this.shape.dtype);
    await this.tokenizer.save(directory);
    await writeHfConfig(directory, this.config, this.shape.dtype);
  }

  /** Waits for the submitted steps and tells of them, with an evaluation after the last if asked. */
  async *#report(
    metrics: Metrics,
    evaluating: boolean,
  ): AsyncGenerator<TrainingEvent, Evaluation | undefined> {
    if (!this.#pending.length) return undefined;
    const steps = await this.#readSteps();
    const evaluation = evaluating ? await this.#evaluate() : undefined;
    const figures = evaluation &&
      { eval_loss: evaluation.loss, eval_perplexity: evaluation.perplexity };
    for (const step of steps) {
      const line = step.step === this.#step ? { ...step, ...figures } : step;
      await metrics.append(line);
      yield { type: "step", ...line };
    }
    if (evaluation) {
      yield { type: "eval", step: this.#step, ...figures!, tokens: evaluation.tokens };
    }
    return evaluation;
  }

  async #submitStep(): Promise<void> {
    const { options, training } = this;
    const batches = [];
    for (let i = 0; i < options.gradientAccumulation; i++) {
      batches.push((await this.data.next())!); // a training stream repeats: it has no end
    }
    const step = ++this.#step;
    const lr = learningRate(options, step - 1);
    const lossIndex = step % LOSS_RING;
    const targets = trainStep(this.gpu, training, batches, { step, lr, lossIndex });
    this.#tokens += targets;
    this.#pending.push({ step, lr, targets });
  }

  /**
   * A read waits for the GPU, so losses are fetched several at a time; at once when the lazy rule
   * needs the similarities of this step, and often enough for a person who watches.
   */
  #mustRead(): boolean {
    return this.training.optimizer.refreshes || this.#pending.length === LOSS_RING ||
      performance.now() - this.#lastRead > 250;
  }

  /** Fetches the losses of the submitted steps, and throws at one that is not finite. */
  async #readSteps(): Promise<StepMetrics[]> {
    const { gpu, training: { losses, optimizer } } = this;
    const sums = new Float32Array((await gpu.read(losses)).buffer);
    if (optimizer.refreshes) {
      const bytes = await gpu.read(optimizer.scratch.similarities);
      optimizer.recordSimilarities(new Float32Array(bytes.buffer));
    }
    const steps = this.#pending.splice(0);
    const seconds = (performance.now() - this.#lastRead) / 1000;
    const targets = steps.reduce((sum, step) => sum + step.targets, 0);
    this.#tokensHere += targets;
    this.#secondsHere += seconds;
    let tokens = this.#tokens - targets;
    return steps.map(({ step, lr, targets: own }) => {
      const loss = sums[step % LOSS_RING] / Math.max(1, own);
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
      };
    });
  }

  #refuseLoss(step: number, loss: number): never {
    const good = this.#lastCheckpoint;
    throw new UserError(
      `step ${step}: the loss is ${loss}; ` +
        (good ? `the last good checkpoint is ${good}` : "there is no checkpoint yet"),
      "lower --lr, lengthen --warmup-steps, or try --dtype float32; nothing was written over",
    );
  }

  async #evaluate(): Promise<Evaluation> {
    const { gpu, options, training } = this;
    const batches = await BatchStream.open({
      ...dataOptions(options, this.tokenizer),
      split: "eval",
      repeat: false,
    });
    return await evaluatePerplexity(gpu, training.model, {
      activations: training.activations,
      head: training.head,
      losses: training.losses,
      index: LOSS_RING,
    }, batches);
  }

  /** Writes a checkpoint of this step, unless the newest one is of it already. */
  async *#save(): AsyncGenerator<TrainingEvent> {
    const { gpu, options, training } = this;
    if (this.#step === this.#savedStep) return;
    const state: RunState = {
      step: this.#step,
      tokens: this.#tokens,
      loss: this.#lastLoss,
      lazy: training.optimizer.lazyStates(),
      data: this.data.position(),
      config: this.config,
      shape: this.shape,
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
    this.#lastCheckpoint = checkpoint.path;
    this.#savedStep = state.step;
  }

  #initialize(): void {
    const { gpu, config, training } = this;
    const pass = new KernelPass(gpu);
    initialize(gpu, pass, config, training.model.parameters, {
      seed: this.options.seed,
      scratch: training.optimizer.scratch.gradient,
    });
    pass.submit();
  }

  #planEvent(): PlanEvent {
    return {
      type: "plan",
      parameters: parameterCount(this.config),
      steps: this.options.steps,
      resumed_step: this.#step,
      planned_peak_bytes: this.plan.plannedPeakBytes,
      by_purpose: this.plan.byPurpose,
      adapter: this.gpu.adapter.description || this.gpu.adapter.device,
    };
  }

  #summary(evaluation: Evaluation | undefined): Summary {
    const { optimizer } = this.training;
    const fixed = Math.ceil(this.#step / this.options.updateProjGap);
    return {
      final_loss: this.#lastLoss,
      eval_loss: evaluation?.loss,
      eval_perplexity: evaluation?.perplexity,
      tokens: this.#tokens,
      tokens_per_second: this.#tokensHere / Math.max(1e-9, this.#secondsHere),
      planned_peak_bytes: this.plan.plannedPeakBytes,
      gpu_peak_bytes: this.gpu.account.peak,
      subspace_refreshes: optimizer.refreshCount,
      subspace_refreshes_fixed_interval: optimizer.projectors.length * fixed,
      adapter: this.gpu.adapter.description || this.gpu.adapter.device,
    };
  }
}

function isMultiple(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}

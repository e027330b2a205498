/**
 * Trains the same model on the same data by several methods, and says what each came to. Runs go one
 * after the other, each in a folder of its own, and what is done is kept: a comparison that was
 * interrupted continues where it was, and one that has ended takes in more methods or seeds.
 *
 * @module
 */
import { join } from "../packages/std_path.ts";
import { PRODUCT, VERSION } from "../product.ts";
import { dataNames } from "../data/data.ts";
import type { Data } from "../data/data.ts";
import { writeJson } from "../files/atomic.ts";
import { checkpointSteps } from "../formats/checkpoint/reader.ts";
import { adapterName } from "../gpu/adapter.ts";
import { OutOfMemoryError } from "../gpu/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { parameterCount } from "../model/description.ts";
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { readLines, readObject } from "../report/lines.ts";
import { writeReport } from "../report/report.ts";
import { pruneCheckpoints } from "../train/checkpoint.ts";
import { NotFiniteError } from "../train/divergence.ts";
import type { StepMetrics, Summary, TrainingEvent } from "../train/events.ts";
import type { FinetuneOptions } from "../train/finetune_options.ts";
import { finetuneRecipe } from "../train/finetune_recipe.ts";
import { METRICS_FILE } from "../train/metrics.ts";
import type { PretrainOptions } from "../train/options.ts";
import { type MemoryPlan, planMemory } from "../train/plan.ts";
import { pretrainRecipe } from "../train/pretrain_recipe.ts";
import type { Recipe } from "../train/recipe.ts";
import { Output } from "../train/start.ts";
import { type Preparing, type Running, Trainer } from "../train/trainer.ts";
import { measureTraining } from "../train/training_speed.ts";
import { type ComparedMethod, comparedMethods, runOptions, sharedOptions } from "./methods.ts";
import {
  type ComparedKind,
  compareFinetuneOptions,
  type CompareInput,
  type CompareOptions,
  comparePretrainOptions,
} from "./options.ts";
import {
  COMPARE_FILE,
  COMPARE_VERSION,
  type CompareRecord,
  type RunRecord,
  type SpeedRecord,
} from "./record.ts";
import { methodRecord } from "./results.ts";
import { bestOf, nextRate, rounded } from "./sweep.ts";
import { writeComparison } from "./write.ts";

type Values = Readonly<Record<string, unknown>>;

/** A run that begins. */
export interface ComparedRun {
  /** As in `methods`. */
  readonly method: string;
  /** A rate that is tried, or a run that counts. */
  readonly purpose: "sweep" | "run";
  /** Of weights, data and rounding. */
  readonly seed: number;
  /** Peak learning rate. */
  readonly lr: number;
  /** Optimizer steps. */
  readonly steps: number;
  /** Its output folder, below that of the comparison. */
  readonly folder: string;
}

/** What {@link compare} yields. */
export type CompareEvent =
  /** First: what will be done, or is done already. */
  | { readonly type: "comparison"; readonly runs: readonly ComparedRun[]; readonly done: number }
  /** A run begins; what follows is of it. */
  | { readonly type: "run"; readonly run: ComparedRun }
  /** An event of the run that began last. */
  | { readonly type: "run_event"; readonly folder: string; readonly event: TrainingEvent }
  /** A run has ended. */
  | { readonly type: "run_done"; readonly run: RunRecord }
  /** A window of the measurement of speeds begins. */
  | {
    readonly type: "measuring";
    readonly method: string;
    readonly round: number;
    readonly rounds: number;
  }
  /** It has ended. */
  | ({ readonly type: "speed" } & SpeedRecord)
  /** Last: everything so far, as in compare.json. */
  | {
    readonly type: "compared";
    readonly interrupted: boolean;
    readonly output: string;
    readonly record: CompareRecord;
  };

/** How a comparison is ended and watched. */
export interface Comparing extends Running, Pick<Preparing, "onPreparation"> {
  /**
   * The measurement of speeds: in each round every method has a window of steps, of as many
   * milliseconds; 3 and 1500 by default.
   */
  readonly speeds?: { readonly rounds: number; readonly milliseconds: number };
}

/** In turns, so that whatever else the machine does slows all methods. */
const SPEEDS = { rounds: 3, milliseconds: 1500 };

/**
 * Compares methods in pre-training or fine-tuning. Ends with `compared`, also when its signal aborts
 * it: the run in progress is then saved, and the same call continues. A method that diverges or does
 * not fit is a result; what else fails is thrown. Faults of options are {@link UserError}s.
 *
 * @example
 * ```ts
 * import { compare, Gpu } from "@deno-galore/trainer";
 *
 * using gpu = await Gpu.open();
 * const options = {
 *   methods: ["q_galore_adamw8bit", "adamw"],
 *   model: "llama_nano",
 *   data: ["texts/"],
 *   steps: 300,
 *   output: "runs/compared",
 * };
 * for await (const event of compare(gpu, "pretrain", options)) {
 *   if (event.type === "compared") console.log(event.record.methods);
 * }
 * ```
 */
export async function* compare(
  gpu: Gpu,
  kind: ComparedKind,
  given: CompareInput,
  comparing: Comparing = {},
): AsyncGenerator<CompareEvent> {
  const schema = kind === "pretrain" ? comparePretrainOptions : compareFinetuneOptions;
  const options = schema.parse<CompareInput>(given);
  const methods = comparedMethods(kind, options);
  using _output = await Output.claim(options.output);
  const comparison = await Comparison.open(gpu, kind, options, methods);
  yield* comparison.run(comparing);
}

class Comparison {
  readonly #runs: RunRecord[];
  readonly #speeds: SpeedRecord[];
  readonly #recipes = new Map<string, { readonly recipe: Recipe; readonly plan: MemoryPlan }>();

  private constructor(
    private readonly gpu: Gpu,
    private readonly kind: ComparedKind,
    private readonly options: CompareOptions,
    private readonly methods: readonly ComparedMethod[],
    found: Pick<CompareRecord, "speeds"> & { readonly runs: readonly RunRecord[] },
  ) {
    this.#runs = [...found.runs];
    this.#speeds = [...found.speeds];
  }

  /** With what an earlier sitting has left, if it is of the same comparison. */
  static async open(
    gpu: Gpu,
    kind: ComparedKind,
    options: CompareOptions,
    methods: readonly ComparedMethod[],
  ): Promise<Comparison> {
    const { output } = options, path = join(output, COMPARE_FILE);
    if (options.overwriteOutput) {
      for (const name of [COMPARE_FILE, "runs", "sweep"]) {
        await Deno.remove(join(output, name), { recursive: true }).catch(ignoreAbsent);
      }
    }
    const { value: found, missing } = await readObject<CompareRecord>(path);
    const before = { runs: [] as RunRecord[], speeds: [] as SpeedRecord[] };
    if (missing !== undefined && missing !== "is not there") {
      throw new UserError(`${path}: ${missing}`, startOver());
    }
    if (found) {
      if (found.version !== COMPARE_VERSION) {
        throw new UserError(`${path}: is of another version of this program`, startOver());
      }
      const shared = JSON.stringify(sharedOf(kind, options));
      if (found.kind !== kind || JSON.stringify(found.options) !== shared) {
        throw new UserError(
          `${output} holds a comparison with other options than these: ${shared}; there ` +
            `${JSON.stringify(found.options)}`,
          phrase`continue it with the same ones, other ${option("methods")}, ${option("seeds")} and
            rates apart, choose another ${option("output")}, or ${option("overwriteOutput", true)}`,
        );
      }
      before.runs.push(...found.methods!.flatMap(({ sweep, runs }) => [...sweep, ...runs]));
      // Speeds are compared only if they were measured side by side.
      const names = found.methods!.map(({ name }) => name);
      const same = names.join() === methods.map(({ name }) => name).join();
      if (same && found.adapter === adapterName(gpu.adapter)) before.speeds.push(...found.speeds!);
    }
    return new Comparison(gpu, kind, options, methods, before);
  }

  async *run(comparing: Comparing): AsyncGenerator<CompareEvent> {
    const { methods, options: { seeds } } = this, { signal } = comparing;
    const planned = methods.flatMap((method) => [
      ...this.#rates(method).map((lr) => this.#sweepRun(method, lr)),
      ...seeds.map((seed) => this.#seedRun(method, seed, method.lr)),
    ]);
    const done =
      planned.filter((run) =>
        this.#runs.some((other) =>
          run.purpose === "sweep"
            ? other.folder === run.folder
            : other.method === run.method && other.seed === run.seed &&
              other.folder.startsWith("runs")
        )
      ).length;
    yield { type: "comparison", runs: planned, done };
    for (const method of methods) {
      const rates = this.#rates(method);
      for (let lr; (lr = nextRate(rates, this.#sweepOf(method))) !== undefined;) {
        if (!(yield* this.#train(method, this.#sweepRun(method, lr), comparing))) {
          return yield await this.#end(true);
        }
        // No rate takes less memory.
        if (this.#sweepOf(method).some(({ status }) => status === "does_not_fit")) break;
      }
    }
    for (const seed of seeds) {
      for (const method of methods) {
        const rates = this.#rates(method), best = bestOf(this.#sweepOf(method));
        // None of the rates went well: the table says so.
        if (rates.length && !best) continue;
        const run = this.#seedRun(method, seed, best?.lr ?? method.lr);
        if (!(yield* this.#train(method, run, comparing))) return yield await this.#end(true);
      }
    }
    yield* this.#measure(comparing);
    yield await this.#end(signal?.aborted ?? false);
  }

  /** False if it was stopped. */
  async *#train(
    method: ComparedMethod,
    run: ComparedRun,
    { signal, onPreparation, onProgress }: Comparing,
  ): AsyncGenerator<CompareEvent, boolean> {
    if (this.#recordOf(run)) return true;
    if (signal?.aborted) return false;
    yield { type: "run", run };
    const output = join(this.options.output, run.folder);
    const resume = (await checkpointSteps(output)).length ? "auto" : undefined;
    const { seed, lr, steps } = run;
    const isSweep = run.purpose === "sweep";
    const options = runOptions(this.kind, method, {
      seed,
      lr,
      steps,
      output,
      resume,
      ...(isSweep ? this.#sweepOptions(method, steps) : undefined),
    });
    let ending: Partial<RunRecord> & Pick<RunRecord, "status">, summary: Partial<Summary> = {};
    try {
      using trainer = await this.#open(options, { onPreparation, signal });
      for await (const event of trainer.run({ signal, onProgress })) {
        if (event.type === "done") summary = event.summary;
        yield { type: "run_event", folder: run.folder, event };
        if (event.type === "done" && event.interrupted) return false;
      }
      ending = { status: summary.diverged ? "diverged" : "done" };
    } catch (error) {
      if (signal?.aborted && (error as Error).name === "AbortError") return false;
      if (error instanceof OutOfMemoryError) {
        ending = { status: "does_not_fit", message: error.message };
      } else if (error instanceof NotFiniteError) {
        ending = { status: "diverged", message: error.message };
      } else throw error;
    }
    const record = await this.#record(method, run, ending, summary);
    this.#runs.push(record);
    await this.#save(false);
    await this.#tidy(output, isSweep);
    // A report never fails what it is of.
    if (!isSweep) await writeReport(output).catch(() => {});
    yield { type: "run_done", run: record };
    return true;
  }

  #open(options: Values, preparing: Preparing): Promise<Trainer> {
    return this.kind === "pretrain"
      ? Trainer.pretrain(this.gpu, options as unknown as PretrainOptions, preparing)
      : Trainer.finetune(this.gpu, options as unknown as FinetuneOptions, preparing);
  }

  async #record(
    method: ComparedMethod,
    { purpose: _, ...run }: ComparedRun,
    ending: Partial<RunRecord> & Pick<RunRecord, "status">,
    summary: Partial<Summary>,
  ): Promise<RunRecord> {
    const { plan } = await this.#recipe(method);
    const { lines } = await readLines<StepMetrics>(
      join(this.options.output, run.folder, METRICS_FILE),
    );
    return {
      ...run,
      options: serialisable(method.options),
      ...ending,
      first_loss: summary.first_loss ?? lines[0]?.loss,
      final_loss: summary.final_loss ?? lines.at(-1)?.loss,
      eval_loss: summary.eval_loss,
      eval_perplexity: summary.eval_perplexity,
      tokens: summary.tokens ?? lines.at(-1)?.tokens,
      planned_peak_bytes: summary.planned_peak_bytes ?? plan.plannedPeakBytes,
      gpu_peak_bytes: summary.gpu_peak_bytes ?? lines.at(-1)?.gpu_peak_bytes,
      by_purpose: plan.byPurpose,
      subspace_refreshes: summary.subspace_refreshes,
      subspace_refreshes_fixed_interval: summary.subspace_refreshes_fixed_interval,
      seconds: lines.reduce((sum, { step_ms }) => sum + step_ms, 0) / 1000,
    };
  }

  /** A run that is done is never resumed, and of one that tried a rate nobody wants the model. */
  async #tidy(output: string, isSweep: boolean): Promise<void> {
    await pruneCheckpoints(output, 0);
    for (const name of isSweep ? ["model", "adapter"] : []) {
      await Deno.remove(join(output, name), { recursive: true }).catch(ignoreAbsent);
    }
  }

  async *#measure(
    { signal, speeds: { rounds, milliseconds } = SPEEDS }: Comparing,
  ): AsyncGenerator<CompareEvent> {
    const fitting = this.methods.filter((method) =>
      this.#runsOf(method).some(({ status }) => status !== "does_not_fit")
    );
    for (let round = 1; round <= rounds; round++) {
      for (const method of fitting) {
        if (this.#speeds.some((each) => each.round === round && each.method === method.name)) {
          continue;
        }
        if (signal?.aborted) return;
        yield { type: "measuring", method: method.name, round, rounds };
        const { recipe: { config, shape } } = await this.#recipe(method);
        const measured = await measureTraining(this.gpu, {
          config,
          shape,
          options: method.options,
          gradientAccumulation: shape.optimizer.gradientAccumulation,
        }, { milliseconds, signal });
        if (!measured) return;
        const { tokens_per_second, refresh_ms } = measured;
        const speed = { method: method.name, round, tokens_per_second, refresh_ms };
        this.#speeds.push(speed);
        await this.#save(false);
        yield { type: "speed", ...speed };
      }
    }
  }

  async #end(interrupted: boolean): Promise<CompareEvent> {
    const record = await this.#save(!interrupted), { output } = this.options;
    if (!interrupted) await writeComparison(output, record);
    return { type: "compared", interrupted, output, record };
  }

  async #save(complete: boolean): Promise<CompareRecord> {
    const { gpu, kind, options, methods } = this;
    const [first] = methods;
    const { recipe } = await this.#recipe(first);
    const records = methods.map((method) => {
      const done = {
        sweep: this.#sweepOf(method),
        runs: this.#runsOf(method),
        speeds: this.#speeds.filter((speed) => speed.method === method.name),
      };
      return methodRecord(method, done, this.#runsOf(first));
    });
    const all = records.flatMap(({ sweep, runs }) => [...sweep, ...runs]);
    const record: CompareRecord = {
      version: COMPARE_VERSION,
      program: `${PRODUCT} ${VERSION}`,
      kind,
      complete,
      adapter: adapterName(gpu.adapter),
      system: `${Deno.build.os} ${Deno.build.arch}`,
      deno: Deno.version.deno,
      parameters: parameterCount(recipe.config),
      options: sharedOf(kind, options),
      steps: Number(options.steps),
      tokens: records.flatMap(({ runs }) => runs).find(({ status }) => status === "done")?.tokens,
      seeds: options.seeds,
      lr_sweep: {
        multiples: options.lrSweep,
        seed: options.seeds[0],
        steps: this.#sweepSteps,
      },
      methods: records,
      speeds: this.#speeds,
      seconds: all.reduce((sum, { seconds }) => sum + seconds, 0),
    };
    await writeJson(join(options.output, COMPARE_FILE), record);
    return record;
  }

  /** What a method's runs are made of; the seed changes nothing in it. */
  async #recipe(method: ComparedMethod) {
    const known = this.#recipes.get(method.name);
    if (known) return known;
    const [seed] = this.options.seeds, { output } = this.options;
    const options = runOptions(this.kind, method, { seed, output: join(output, "none") });
    const recipe = this.kind === "pretrain"
      ? await pretrainRecipe(options as unknown as PretrainOptions)
      : await finetuneRecipe(options as unknown as FinetuneOptions);
    const { config, shape, objective } = recipe;
    const plan = planMemory(config, shape, this.gpu.capabilities, objective);
    const made = { recipe, plan };
    this.#recipes.set(method.name, made);
    return made;
  }

  /** The rates to try first; none where there is nothing to choose. */
  #rates({ lr, lrGiven }: ComparedMethod): number[] {
    const { lrSweep } = this.options;
    if (lrGiven) return [];
    if (lrSweep.length === 1) return lrSweep[0] === 1 ? [] : [rounded(lr * lrSweep[0])];
    return [...new Set(lrSweep)].sort((a, b) => a - b).map((multiple) => rounded(lr * multiple));
  }

  get #sweepSteps(): number {
    const { steps, lrSweepShare } = this.options;
    return Math.max(1, Math.round(Number(steps) * lrSweepShare));
  }

  /** What of a whole run's options does not go with a short one. */
  #sweepOptions({ options }: ComparedMethod, steps: number): Values {
    const { warmupSteps } = options, share = steps / Number(this.options.steps);
    const warmup = warmupSteps === undefined
      ? undefined
      : { warmupSteps: Math.round(Number(warmupSteps) * share) };
    const without = [
      "samplePrompt",
      "sampleTokens",
      "loadBestModelAtEnd",
      "earlyStoppingPatience",
      "earlyStoppingThreshold",
    ].map((name) => [name, undefined]);
    return { ...Object.fromEntries(without), evalEvery: 0, saveEvery: 0, ...warmup };
  }

  #sweepRun({ name: method }: ComparedMethod, lr: number): ComparedRun {
    const [seed] = this.options.seeds, folder = join("sweep", slug(method), `lr-${lr}`);
    return { method, purpose: "sweep", seed, lr, steps: this.#sweepSteps, folder };
  }

  #seedRun({ name: method }: ComparedMethod, seed: number, lr: number): ComparedRun {
    const folder = join("runs", slug(method), `lr-${lr}-seed-${seed}`);
    return { method, purpose: "run", seed, lr, steps: Number(this.options.steps), folder };
  }

  #recordOf({ folder, seed, steps }: ComparedRun): RunRecord | undefined {
    return this.#runs.find((run) =>
      run.folder === folder && run.seed === seed && run.steps === steps
    );
  }

  #sweepOf({ name }: ComparedMethod): RunRecord[] {
    const [seed] = this.options.seeds, steps = this.#sweepSteps;
    return this.#runs.filter((run) =>
      run.method === name && run.folder.startsWith("sweep") && run.seed === seed &&
      run.steps === steps
    );
  }

  /** Of the seeds that are asked for, at the rate that is best. */
  #runsOf(method: ComparedMethod): RunRecord[] {
    const rates = this.#rates(method), best = bestOf(this.#sweepOf(method))?.lr;
    const lr = rates.length ? best : method.lr;
    return this.options.seeds.flatMap((seed) =>
      this.#runs.find((run) =>
        run.method === method.name && run.folder.startsWith("runs") && run.seed === seed &&
        run.lr === lr
      ) ?? []
    );
  }
}

/** What was given for all runs, by which a comparison is known. */
function sharedOf(kind: ComparedKind, options: CompareOptions): Values {
  return serialisable(sharedOptions(kind, options));
}

/** Data in memory by its description. */
function serialisable(options: Values): Values {
  const named = (["data", "evalData"] as const).flatMap((name) =>
    options[name] === undefined ? [] : [[name, dataNames(options[name] as Data)]]
  );
  return { ...options, ...Object.fromEntries(named) };
}

/** A name as a folder's, on any system. */
function slug(name: string): string {
  return name.replace(/[^\w.=-]+/g, "_");
}

function startOver() {
  return phrase`add ${option("overwriteOutput", true)} to start over, or choose another ${
    option("output")
  }`;
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

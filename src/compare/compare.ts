/**
 * Trains the same model on the same data by several methods, and says what each came to. Runs go one
 * after the other, each in a folder of its own, and what is done is kept: a comparison that was
 * interrupted continues where it was, and one that has ended takes in more methods or seeds.
 *
 * @module
 */
import type { Gpu } from "../gpu/gpu.ts";
import { parameterCount } from "../model/description.ts";
import { openInputs } from "../train/run_inputs.ts";
import { Output } from "../train/start.ts";
import type { ComparedRun, CompareEvent, Comparing } from "./events.ts";
import { type DataOptions, madeWith } from "./made_with.ts";
import { type ComparedMethod, comparedMethods, serialisable, sharedOptions } from "./methods.ts";
import {
  type ComparedKind,
  compareFinetuneOptions,
  type CompareInput,
  type CompareOptions,
  comparePretrainOptions,
} from "./options.ts";
import { Recipes } from "./recipes.ts";
import { COMPARE_VERSION, type CompareRecord, type MadeWith, type RunRecord } from "./record.ts";
import { methodRecord } from "./results.ts";
import { measureSpeeds } from "./speeds.ts";
import { ComparisonStore, folderOf } from "./store.ts";
import { askedRates, followSweep, lacksMemory, rateOf, type Sweep } from "./sweep.ts";
import { trainRun } from "./train_run.ts";
import { writeComparison } from "./write.ts";

/**
 * Compares methods in pre-training or fine-tuning. Ends with `compared`, also when its signal aborts
 * it: the run in progress is then saved, and the same call continues. A method that diverges or does
 * not fit is a result; what else fails is thrown. Faults of options, and an output folder that holds
 * anything but this comparison, are {@link UserError}s.
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
  const recipes = new Recipes(gpu, kind, options);
  // What is wrong with model, data or a method is found before anything is removed.
  for (const method of methods) await recipes.of(method);
  const { recipe } = await recipes.of(methods[0]);
  const { data } = await openInputs(recipe, comparing.onPreparation);
  await data.batches.close();
  const made = await madeWith(gpu, recipe, options as DataOptions);
  const shared = serialisable(sharedOptions(kind, options));
  const asked = methods.map((method) => ({ ...method, options: serialisable(method.options) }));
  const store = await ComparisonStore.open(options, { kind, shared, methods: asked, made });
  yield* new Comparison(gpu, kind, options, methods, shared, made, recipes, store).run(comparing);
}

class Comparison {
  constructor(
    private readonly gpu: Gpu,
    private readonly kind: ComparedKind,
    private readonly options: CompareOptions,
    private readonly methods: readonly ComparedMethod[],
    private readonly shared: Readonly<Record<string, unknown>>,
    private readonly made: MadeWith,
    private readonly recipes: Recipes,
    private readonly store: ComparisonStore,
  ) {}

  async *run(comparing: Comparing): AsyncGenerator<CompareEvent> {
    const { done, left } = this.#state();
    yield { type: "comparison", runs: [...done, ...left], done: done.length };
    for (const method of this.methods) {
      for (let next; (next = this.#sweep(method).next) !== undefined;) {
        const run = this.#runOf(method, "sweep", next);
        if (!(yield* this.#train(method, run, comparing))) return yield await this.#end(true);
      }
    }
    for (const seed of this.options.seeds) {
      for (const method of this.methods) {
        const lr = this.#rate(method);
        // None of the rates went well, or another seed did not fit: the table says so.
        if (lr === undefined || this.#runsOf(method).some(lacksMemory)) continue;
        const run = this.#runOf(method, "run", lr, seed);
        if (!(yield* this.#train(method, run, comparing))) return yield await this.#end(true);
      }
    }
    const fitting = this.methods.filter((method) =>
      this.#runsOf(method).some((run) => !lacksMemory(run))
    );
    const { gpu, recipes, store } = this;
    store.speeds = yield* measureSpeeds(gpu, fitting, recipes, store.speeds, comparing);
    yield await this.#end(comparing.signal?.aborted ?? false);
  }

  /** False if it was stopped. */
  async *#train(
    method: ComparedMethod,
    run: ComparedRun,
    comparing: Comparing,
  ): AsyncGenerator<CompareEvent, boolean> {
    const { gpu, kind, store, made, options: { output, steps } } = this;
    if (store.find(run)) return true;
    if (comparing.signal?.aborted) return false;
    store.addFolder(run.folder);
    await this.#save(false);
    const { done, left } = this.#state();
    const later = left.filter(({ folder }) => folder !== run.folder);
    yield { type: "run", run, done: done.length, left: later };
    const { plan } = await this.recipes.of(method);
    const record = yield* trainRun(
      { gpu, kind, method, run, wholeSteps: Number(steps), folder: output, plan, made },
      comparing,
    );
    if (!record) return false;
    store.add(record);
    await this.#save(false);
    yield { type: "run_done", run: record };
    return true;
  }

  /** Runs that are done, and those that are known to follow. */
  #state(): { readonly done: ComparedRun[]; readonly left: ComparedRun[] } {
    const done: ComparedRun[] = [], left: ComparedRun[] = [];
    for (const method of this.methods) {
      const { tried, next } = this.#sweep(method), lr = this.#rate(method);
      const runOfRate = (lr: number) => this.#runOf(method, "sweep", lr);
      const runOfSeed = (seed: number) => this.#runOf(method, "run", lr ?? method.lr, seed);
      done.push(...tried.map((run) => runOfRate(run.lr)));
      if (next !== undefined) {
        const open = askedRates(method, this.options).filter((rate) =>
          !tried.some((run) => run.lr === rate)
        );
        left.push(...[...new Set([next, ...open])].map(runOfRate));
        // Their rate is not known yet: the usual one stands for it.
        left.push(...this.options.seeds.map(runOfSeed));
      } else if (lr !== undefined) {
        const runs = this.options.seeds.map(runOfSeed),
          isOver = this.#runsOf(method).some(lacksMemory);
        done.push(...runs.filter((run) => this.store.find(run)));
        left.push(...runs.filter((run) => !isOver && !this.store.find(run)));
      }
    }
    return { done, left };
  }

  async #end(interrupted: boolean): Promise<CompareEvent> {
    const record = await this.#save(!interrupted), { output } = this.options;
    const missing = interrupted ? [] : await writeComparison(output, record);
    return { type: "compared", interrupted, output, missing, record };
  }

  async #save(complete: boolean): Promise<CompareRecord> {
    const { kind, options, methods, shared, made, store } = this, [first] = methods;
    const { recipe: { config, shape } } = await this.recipes.of(first);
    const batch = {
      sequences: shape.batchSize * shape.optimizer.gradientAccumulation,
      tokens: shape.seqLen,
    };
    const stepTokens = batch.sequences * batch.tokens;
    const records = methods.map((method) => {
      const done = {
        sweep: this.#sweep(method).tried,
        runs: this.#runsOf(method),
        speeds: store.speeds.filter((speed) => speed.method === method.name),
        stepTokens,
      };
      return methodRecord(method, this.#rate(method), done, this.#runsOf(first));
    });
    const shown = records.flatMap(({ sweep, runs }) => [...sweep, ...runs]);
    return await store.save({
      version: COMPARE_VERSION,
      program: made.program,
      kind,
      complete,
      adapter: made.adapter,
      system: `${Deno.build.os} ${Deno.build.arch}`,
      deno: Deno.version.deno,
      parameters: parameterCount(config),
      options: shared,
      steps: Number(options.steps),
      batch,
      tokens: records.flatMap(({ runs }) => runs).find(({ status }) => status === "done")?.tokens,
      seeds: options.seeds,
      lr_sweep: {
        multiples: options.lrSweep,
        seed: options.seeds[0],
        steps: this.#sweepSteps,
      },
      methods: records,
      seconds: shown.reduce((sum, { seconds }) => sum + seconds, 0),
    });
  }

  #rate(method: ComparedMethod): number | undefined {
    return rateOf(method, this.options, this.#sweep(method));
  }

  #sweep(method: ComparedMethod): Sweep {
    const rates = askedRates(method, this.options);
    return followSweep(rates, (lr) => this.store.find(this.#runOf(method, "sweep", lr)));
  }

  get #sweepSteps(): number {
    const { steps, lrSweepShare } = this.options;
    return Math.max(1, Math.round(Number(steps) * lrSweepShare));
  }

  #runOf(
    { name: method }: ComparedMethod,
    purpose: ComparedRun["purpose"],
    lr: number,
    seed: number = this.options.seeds[0],
  ): ComparedRun {
    const steps = purpose === "sweep" ? this.#sweepSteps : Number(this.options.steps);
    const run = { method, purpose, seed, lr, steps };
    return { ...run, folder: folderOf(run) };
  }

  /** Of the seeds that are asked for, at the method's rate. */
  #runsOf(method: ComparedMethod): RunRecord[] {
    const lr = this.#rate(method);
    if (lr === undefined) return [];
    return this.options.seeds.flatMap((seed) =>
      this.store.find(this.#runOf(method, "run", lr, seed)) ?? []
    );
  }
}

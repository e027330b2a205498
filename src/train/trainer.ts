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
import { assertGpu } from "../gpu/assert_gpu.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Scope } from "../gpu/scope.ts";
import { option, phrase } from "../options/phrase.ts";
import type { Only } from "../options/schema.ts";
import { UserError } from "../options/user_error.ts";
import type { Saved, TrainingEvent } from "./events.ts";
import { type FinetuneInput, finetuneOptions } from "./finetune_options.ts";
import { finetuneRecipe } from "./finetune_recipe.ts";
import { occupy } from "./occupy.ts";
import { ofAllRanks } from "./rank_options.ts";
import { sharedRecipe } from "./team.ts";
import { heardLead, orTold, together } from "./together.ts";
import { type OpenRun, openRun, type Preparing } from "./open_run.ts";
import { type PretrainInput, pretrainOptions } from "./options.ts";
import type { MemoryPlan } from "./plan.ts";
import { pretrainRecipe } from "./pretrain_recipe.ts";
import type { Recipe } from "./recipe.ts";
import { Output } from "./start.ts";
import { type Running, TrainingLoop } from "./training_loop.ts";
import { unlessAborted } from "./unless_aborted.ts";

export type { Preparing, Running };

/** A training run: open it with one of the static methods, then iterate over {@link run}. */
export class Trainer {
  /** What happens, to which weights, and on what. */
  readonly recipe: Recipe;
  /** GPU memory that the run allocates. */
  readonly plan: MemoryPlan;
  readonly #loop: TrainingLoop;
  /** Memory, the device and the output folder, until {@link close}. */
  readonly #resources: DisposableStack;
  #running = false;

  private constructor(readonly gpu: Gpu, run: OpenRun, resources: DisposableStack) {
    this.recipe = run.recipe;
    this.plan = run.plan;
    this.#resources = resources;
    gpu.dependents.add(this);
    this.#loop = new TrainingLoop(gpu, run, () => this.#assertOpen());
  }

  /** A pre-training run; see {@link open}. */
  static async pretrain<Given extends PretrainInput>(
    gpu: Gpu,
    options: Only<Given, PretrainInput>,
    preparing: Preparing = {},
  ): Promise<Trainer> {
    const parsed = ofAllRanks(pretrainOptions.parse<PretrainInput>(options), preparing.ranks);
    return await Trainer.#open(gpu, parsed.output, () => pretrainRecipe(parsed), preparing);
  }

  /** A fine-tuning run, which starts from the weights of `options.model`; see {@link open}. */
  static async finetune<Given extends FinetuneInput>(
    gpu: Gpu,
    options: Only<Given, FinetuneInput>,
    preparing: Preparing = {},
  ): Promise<Trainer> {
    const parsed = ofAllRanks(finetuneOptions.parse<FinetuneInput>(options), preparing.ranks);
    return await Trainer.#open(gpu, parsed.output, () => finetuneRecipe(parsed), preparing);
  }

  /**
   * A run of any recipe: one of this library's, perhaps with another objective, or your own. Reserves
   * the device and the output folder, reads and validates everything, plans the memory, refuses what
   * cannot fit, then allocates and initialises, or restores a checkpoint. Faults are {@link
   * UserError}s. All of it is given back when the run has ended, or by {@link close}. With several
   * ranks the `gradientAccumulation` of the recipe's options is that of all of them together.
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
    const { ranks } = preparing, follows = ranks && ranks.rank > 0;
    const output = follows ? undefined : resources.use(await orTold(Output.claim(folder), ranks));
    const memory = resources.use(gpu.account.watch());
    const scope = resources.use(new Scope(gpu));
    const opened = (async () => {
      // The others begin when it is done: what it has downloaded is there for them, and its faults,
      // which are mostly those of all, are told once.
      const lead = follows ? await heardLead(ranks) : undefined;
      const shared = sharedRecipe(await recipe(), ranks);
      return await openRun(scope, memory, shared, preparing, lead);
    })();
    // An aborted preparation ends a little later, and may have allocated meanwhile.
    opened.catch(() => scope.release());
    const opening = unlessAborted(opened, preparing.signal);
    const run = ranks && ranks.size > 1 ? await together(gpu, opening, ranks) : await opening;
    const warnings = [...output?.warnings ?? [], ...run.warnings];
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
    return this.#loop.step;
  }

  /** What is on disk now; also after a failure. */
  get saved(): Saved {
    return this.#loop.saved;
  }

  /**
   * Trains to the last step, or until the signal aborts; it then saves a checkpoint, of the step in
   * progress if it has begun to change the weights and they are not saved. Ends with a `done` event.
   * Whatever else ends it (an evaluation, a sample, the data, the disk), everything trained so far is
   * saved first, if it can be; a `failed` event says what is on disk, and the error is thrown.
   * Leaving the loop early, by `break` or an error, saves as well.
   * A trainer runs once; another one continues with `resume`.
   */
  async *run(running: Running = {}): AsyncGenerator<TrainingEvent> {
    if (this.#running) throw this.#over("has run, or runs");
    this.#assertOpen();
    this.#running = true;
    try {
      yield* this.#loop.run(running);
    } finally {
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
}

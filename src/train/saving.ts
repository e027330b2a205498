/** What a run writes to its output folder besides metrics: checkpoints, and the model at its end. */
import { saveCheckpointFolder } from "../export/checkpoint_model.ts";
import { diskFault } from "../files/disk_error.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { resultOf } from "../model/lora_shape.ts";
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { dirname, join, resolve } from "../packages/std_path.ts";
import type { Activity } from "./activity.ts";
import { writeResult } from "./base_model.ts";
import { pruneCheckpoints, writeCheckpoint } from "./checkpoint.ts";
import type { CheckpointEvent, Saved } from "./events.ts";
import type { OpenRun } from "./open_run.ts";
import { outerBytes, outerEntries } from "./outer_state.ts";
import type { CollectedStates } from "./rank_states.ts";
import type { RunResults } from "./recipe.ts";
import type { RunState } from "./run_state.ts";
import { stateEntries, stateTensors } from "./state.ts";

/** A save may take a twentieth of the time: the next one by minutes waits that many times as long. */
const TIMES_A_SAVE = 20;

/** What a disk may be written by default: a small checkpoint every minute, a large one every ten. */
const BYTES_A_MINUTE = 100e6;
const MOST_MINUTES = 10;

/** Minutes between checkpoints of that many bytes, unless an option says otherwise. */
export function usualMinutes(bytes: number): number {
  return Math.min(MOST_MINUTES, Math.max(1, bytes / BYTES_A_MINUTE));
}

/** Before a step of so long, a save is worth its cost: the step can then be stopped at any point. */
const LONG_STEP_MS = 20_000;

export class Saving {
  #checkpoint: { readonly path: string; readonly step: number } | undefined;
  /** If its model is wanted in place of the newest one's. */
  #best: string | undefined;
  #result: Pick<Saved, "model" | "adapter"> = {};
  /** The newest checkpoint lacks something that belongs to its step. */
  #stale = false;
  #savedAt = performance.now();
  /** Of a checkpoint. */
  readonly #bytes: number;
  /** Milliseconds that the last save took. */
  #cost = 0;

  constructor(readonly gpu: Gpu, readonly run: OpenRun, readonly activity: Activity) {
    const { resumed } = run;
    this.#checkpoint = resumed && { path: resumed.path, step: resumed.state.step };
    const { training, local, team } = run;
    const own = stateTensors(training).reduce((sum, { tensor }) => sum + tensor.byteLength, 0);
    this.#bytes = local ? own * (team?.ranks.size ?? 1) + outerBytes(training) : own;
  }

  /** What is on disk. */
  get saved(): Saved {
    const { path: checkpoint, step: checkpoint_step } = this.#checkpoint ?? {};
    return { ...(checkpoint ? { checkpoint, checkpoint_step } : undefined), ...this.#result };
  }

  /** Whether a checkpoint of this step would add nothing. */
  has(step: number): boolean {
    return !this.#stale && step === (this.#checkpoint?.step ?? 0);
  }

  /** The checkpoint of the current step is to be written again. */
  outdate(): void {
    this.#stale = true;
  }

  /** The minutes between saves count from here: what came before is saved, or was no training. */
  restartClock(): void {
    this.#savedAt = performance.now();
  }

  /** Whether to save before a step that takes so long. */
  isWorthBefore(stepMs: number): boolean {
    return stepMs >= Math.max(LONG_STEP_MS, TIMES_A_SAVE * this.#cost);
  }

  /** Whether the minutes between saves have passed. */
  get isDue(): boolean {
    const { saveMinutes = usualMinutes(this.#bytes) } = this.run.recipe.options;
    const interval = Math.max(saveMinutes * 60_000, TIMES_A_SAVE * this.#cost);
    return saveMinutes > 0 && performance.now() - this.#savedAt >= interval;
  }

  /**
   * Writes a checkpoint and removes those that are too many. `best` is the step whose checkpoint
   * stays. Where the disk is full, those are removed first and the newest whole one is kept.
   */
  async writeCheckpoint(
    state: RunState,
    results: RunResults,
    best: number | undefined,
  ): Promise<CheckpointEvent> {
    const { recipe: { options: { output, keepCheckpoints } } } = this.run, { step } = state;
    const begun = performance.now();
    const path = await this.#write(state, results).catch(async (error) => {
      if (diskFault(error) !== "disk_full") throw error;
      const keep = { spare: best, current: this.#checkpoint?.step };
      const removed = this.#checkpoint &&
        await pruneCheckpoints(output, Math.max(1, keepCheckpoints - 1), keep);
      if (!removed?.length) throw error;
      return await this.#write(state, results);
    });
    this.#checkpoint = { path, step };
    this.#stale = false;
    this.#cost = performance.now() - begun;
    this.restartClock();
    await pruneCheckpoints(output, keepCheckpoints, { spare: best, current: step });
    return { type: "checkpoint", step, path };
  }

  async #write(given: RunState, results: RunResults): Promise<string> {
    const { gpu, activity, run: { recipe, training, local, team } } = this, { step } = given;
    await using others = await team?.collectStates(step);
    const state = local ? { ...given, local: this.#localState(others) } : given;
    const total = this.#bytes;
    const onProgress = (done: number) =>
      activity.report("saving a checkpoint", step, { done, total });
    onProgress(0);
    return await writeCheckpoint(recipe.options.output, {
      step,
      bytes: total,
      onProgress,
      entries: [
        ...stateEntries(gpu, training, team?.fetch),
        ...local ? outerEntries(local.states) : [],
        ...others?.entries ?? [],
      ],
      state,
      beside: async (folder) => await recipe.describe?.(folder, training.model.parameters, results),
    });
  }

  #localState(others: CollectedStates | undefined): RunState["local"] {
    return { local_steps: this.run.recipe.options.localSteps!, lazy: others?.lazy ?? [] };
  }

  /** Writes the model, or the adapter. */
  async writeModel(results: RunResults): Promise<void> {
    const { activity, run: { recipe, training } } = this, { steps } = results;
    activity.report("saving the model", steps);
    const onProgress = (done: number, total: number) =>
      activity.report("saving the model", steps, { done, total });
    const kind = resultOf(recipe.shape.lora);
    const isElsewhere = kind === "model" && training.optimizer.shape.shares?.weights;
    const path =
      await (isElsewhere
        ? this.#modelOfCheckpoint(results, onProgress)
        : recipe.save(this.gpu, training, results, onProgress))
        .catch((error): never => {
          throw this.#unsaved(error, steps);
        });
    this.#result = { [kind]: path };
  }

  /** The model is that of this checkpoint, and not of the newest. */
  takeModelFrom(checkpoint: string): void {
    this.#best = checkpoint;
  }

  /** Where no process has all weights; those of a checkpoint are in the values of the model. */
  async #modelOfCheckpoint(
    results: RunResults,
    onProgress: (done: number, total: number) => void,
  ): Promise<string> {
    const { recipe, training } = this.run, { parameters } = training.model;
    const path = this.#best ?? this.#checkpointOf(results.steps);
    return await writeResult(join(recipe.options.output, "model"), async (folder) => {
      const progress = { onProgress: (share: number) => onProgress(share, 1) };
      await saveCheckpointFolder(path, folder, progress, recipe.base);
      await recipe.describe?.(folder, parameters, results);
    });
  }

  #checkpointOf(step: number): string {
    const { path, step: newest } = this.#checkpoint ?? {};
    if (path !== undefined && newest === step) return path;
    throw new UserError(
      `its weights lie with several processes, and no checkpoint of step ${step} has them` +
        (path === undefined ? "" : `: the newest, ${path}, is of step ${newest}`),
    );
  }

  /** Why the model is not saved, and where its weights are. The disk's own errors say what helps. */
  #unsaved(error: unknown, steps: number): unknown {
    const { checkpoint, checkpoint_step: step } = this.saved;
    if (!(error instanceof UserError) || diskFault(error) || !checkpoint) return error;
    if (step !== steps) return error;
    const { message, hint } = error.explanation, { output } = this.run.recipe.options;
    // A run that was continued from elsewhere at its last step has none of its own.
    const isOwn = resolve(dirname(checkpoint)) === resolve(output);
    const resume = option("resume", isOwn ? "auto" : checkpoint);
    return new UserError(
      phrase`the model could not be saved: ${message}; all that was trained is saved in the checkpoint
        of step ${step!}, ${checkpoint}`,
      phrase`${hint ? phrase`${hint}; then ` : ""}add ${resume} to save the model without training
        again, or export the checkpoint`,
    );
  }
}

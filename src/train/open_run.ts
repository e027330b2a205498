/** Opens a run of a recipe: everything checked, planned, allocated and initialised, or restored. */
import { MANIFEST_FILE } from "../formats/checkpoint/manifest.ts";
import { readCheckpoint } from "../formats/checkpoint/reader.ts";
import { type AccountWatch, PlanAllocator } from "../gpu/allocator.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import type { Scope } from "../gpu/scope.ts";
import { uploadRope } from "../model/llama.ts";
import { resultOf } from "../model/lora_shape.ts";
import type { Phrase } from "../options/phrase.ts";
import { wasGiven } from "../options/schema.ts";
import type { Ranks } from "../parallel/ranks.ts";
import { join } from "../packages/std_path.ts";
import { allocateTraining, buildTraining, type Training } from "./build.ts";
import { pruneCheckpoints } from "./checkpoint.ts";
import { adviseRanks } from "./choose_ranks.ts";
import { clippingText } from "./clipping.ts";
import type { OnPreparation, PreparationEvent, RankAdviceEvent } from "./events.ts";
import { assertRoom, planDisk } from "./disk.ts";
import { gpuMemoryLimit } from "./gpu_memory.ts";
import { assertFits, failedAllocation } from "./does_not_fit.ts";
import { assertMeets, assertMet, openLocal, ownStates, ranksChanged } from "./local_run.ts";
import type { LocalSteps } from "./local_steps.ts";
import type { MemoryPlan } from "./plan.ts";
import type { Recipe, TrainingData } from "./recipe.ts";
import { withRestarts } from "./restarting.ts";
import { resumedRecipe } from "./resumed_recipe.ts";
import { resumedSchedule, type RunSchedule } from "./resumed_schedule.ts";
import { openInputs } from "./run_inputs.ts";
import { assertSameRun, changedRates, identityOf } from "./run_identity.ts";
import { assertSameBase, readRunState, type RunState } from "./run_state.ts";
import type { SamplePrompt } from "./samples.ts";
import { startingPoint } from "./start.ts";
import { restoreTensors } from "./state.ts";
import type { Team } from "./team.ts";
import type { Timings } from "./timings.ts";
import { tune } from "./tuning.ts";

/** How {@link Trainer.open} reports its progress. */
export interface Preparing {
  /**
   * Called with the progress of slow preparations before the first event of {@link Trainer.run}.
   */
  readonly onPreparation?: OnPreparation;
  /** Where timed kernels are remembered; by default on this machine, where that is allowed. */
  readonly timings?: Timings;
  /** Ends the preparation: the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
  /** The processes that train the model together: `openRanks()`. By default this one alone. */
  readonly ranks?: Ranks;
}

/** A run that can take its next step. */
export interface OpenRun {
  /** What it allocates, samples and evaluations included. */
  readonly memory: AccountWatch;
  /** The recipe given, with the ranks that were advised for it. */
  readonly recipe: Recipe;
  readonly plan: MemoryPlan;
  /** Bytes of GPU memory that it is held to; Infinity if unknown. */
  readonly memoryLimit: number;
  readonly warnings: readonly Phrase[];
  readonly rankAdvice?: RankAdviceEvent;
  readonly training: Training;
  readonly data: TrainingData;
  readonly prompts: readonly SamplePrompt[];
  readonly schedule: RunSchedule;
  /** The processes that share its steps, if there are several. */
  readonly team?: Team;
  /** The outer steps in which they meet, if each trains by itself. */
  readonly local?: LocalSteps;
  /** What the weights of its base are, if it needs them to be resumed. */
  readonly baseMark?: string;
  /** The checkpoint that it continues from. */
  readonly resumed?: {
    readonly path: string;
    /** When it was saved. */
    readonly savedAt: Date | null;
    readonly state: RunState;
  };
}

/** What the other ranks of a run take from rank 0. JSON. */
export interface Lead {
  /** The folder of the checkpoint that it continues from, if any. */
  readonly checkpoint?: string;
  /** Where its data begins; of examples also the date that templates write into them. */
  readonly data: unknown;
  /** The variants of kernels that it has timed: others may add in another order. */
  readonly timed?: Capabilities["timed"];
}

export function leadOf(
  { resumed, data }: Pick<OpenRun, "resumed" | "data">,
  { timed }: Capabilities,
): Lead {
  return { checkpoint: resumed?.path, data: data.batches.position(), timed };
}

/**
 * Faults are {@link UserError}s. What can fail without the GPU does so before anything is allocated,
 * which happens in `scope`. Of several ranks only the first looks into the output folder, and changes
 * it: the others begin with `lead`.
 */
export async function openRun(
  scope: Scope,
  memory: AccountWatch,
  given: Recipe,
  { onPreparation: report, timings, signal, ranks }: Preparing,
  lead?: Lead,
): Promise<OpenRun> {
  // Ends what nobody waits for any more, in the middle of a long phase as well.
  const onPreparation: OnPreparation = (event) => {
    signal?.throwIfAborted();
    report?.(event);
  };
  const { gpu } = scope, { options, config } = given, { capabilities } = gpu;
  const warnings = [...given.warnings];
  const progressOf = (what: PreparationEvent["what"]) => (read: number, bytes: number) =>
    onPreparation({ type: "preparation", what, share: read / bytes });
  const checkpoint = lead
    ? lead.checkpoint && await readCheckpoint(lead.checkpoint) || undefined
    : await startingPoint(
      options,
      resultOf(given.shape.lora),
      (message) => warnings.push(message),
      progressOf("checking a checkpoint"),
    );
  const state = checkpoint && readRunState(checkpoint);
  const auto = options.rank === "auto";
  const resumed = state && resumedRecipe(given, state);
  let { recipe } = resumed ?? { recipe: given };
  warnings.push(...resumed?.notes ?? []);
  if (checkpoint) {
    assertSameRun(checkpoint.path, state!, identityOf(recipe));
    assertMeets(checkpoint.path, state!, options);
    warnings.push(...ranksChanged(state!, ranks));
  }
  const baseMark = recipe.shape.trained === "all" ? undefined : await recipe.markBase?.();
  if (checkpoint) assertSameBase(checkpoint.path, state!, recipe.base, baseMark);
  const isElsewhere = state?.base !== undefined && state.base !== recipe.base;
  if (isElsewhere && state.base_mark === undefined && recipe.shape.trained !== "all") {
    warnings.push(
      `the run started from ${state.base}, and continues from ${recipe.base}: its checkpoint lacks the ` +
        "weights that are not trained, which must be the same",
    );
  }
  const from = lead ? { data: lead.data, step: state?.step ?? 0 } : state;
  const { prompts, data, warnings: notes } = await openInputs(recipe, onPreparation, from);
  warnings.push(...notes);
  const { steps, warmupSteps } = data;
  if (checkpoint) assertMet(checkpoint.path, state!, steps);
  const { lr, scheduler, minLrRatio } = options;
  const restarting = withRestarts(recipe, { steps, warmupSteps });
  recipe = restarting.recipe;
  warnings.push(...restarting.notes);
  const { jaggedRestartSteps: every, jaggedRestartWarmupSteps } = recipe.rates;
  const restarts = every ? { every, warmupSteps: jaggedRestartWarmupSteps ?? 0 } : undefined;
  const { schedule, notes: resumeNotes } = resumedSchedule(
    state?.schedule,
    { lr, scheduler, minLrRatio, steps, warmupSteps, ...(restarts && { restarts }) },
    state?.step ?? 0,
  );
  const changed = state && changedRates(state, identityOf(recipe));
  warnings.push(...resumeNotes, ...changed ? [changed] : []);
  const clipping = wasGiven(options, "maxGradNorm") &&
    clippingText(recipe.shape, options.maxGradNorm);
  if (clipping) warnings.push(clipping);
  const limit = gpuMemoryLimit(gpu, options.gpuMemory);
  const advice = auto && !checkpoint
    ? await adviseRanks(gpu, recipe, { share: options.energyShare, limit, onPreparation })
    : undefined;
  recipe = advice?.recipe ?? recipe;
  const { shape, objective } = recipe, sized = { ...recipe, ranks: ranks?.size };
  const needed = assertFits(sized, capabilities, limit);
  const plannedPeakBytes = Math.max(needed.plannedPeakBytes, advice?.plannedPeakBytes ?? 0);
  const scarce = await assertRoom(
    options,
    data,
    planDisk(config, shape, capabilities, options.localSteps && (ranks?.size ?? 1)),
    state?.step,
  );
  if (scarce) warnings.push(scarce);
  if (lead) gpu.assume({ timed: lead.timed });
  else if (options.tune) {
    const products = () =>
      buildTraining(new PlanAllocator(), config, shape, capabilities, objective).model.products;
    await tune(gpu, products, onPreparation, timings);
  }
  signal?.throwIfAborted();
  // Up to the first weights: a driver may lend what it takes back at the first use.
  const start = async () => {
    const training = allocateTraining(scope, config, shape, objective);
    await gpu.check();
    uploadRope(gpu, training.model);
    await recipe.start(gpu, training, onPreparation, checkpoint !== undefined);
    if (checkpoint) {
      const { prefix, lazy } = ownStates(state!, ranks);
      const progress = progressOf("restoring a checkpoint");
      await restoreTensors(gpu, training, checkpoint, progress, prefix);
      training.optimizer.refreshes.restoreLazy(lazy);
    }
    const local = await openLocal(gpu, training, { options, steps, ranks, checkpoint, state });
    await gpu.check();
    return { training, local };
  };
  const { training, local } = await start().catch((error): never => {
    throw failedAllocation(error, sized, capabilities);
  });
  signal?.throwIfAborted();
  // Delete only after everything that can fail has succeeded.
  if (options.overwriteOutput && !lead) await pruneCheckpoints(options.output, 0);
  return {
    memory,
    recipe,
    plan: { ...needed, plannedPeakBytes },
    memoryLimit: limit,
    warnings,
    rankAdvice: advice?.event,
    training,
    local,
    data,
    prompts,
    schedule,
    baseMark,
    resumed: checkpoint && {
      path: checkpoint.path,
      savedAt: (await Deno.stat(join(checkpoint.path, MANIFEST_FILE))).mtime,
      state: state!,
    },
  };
}

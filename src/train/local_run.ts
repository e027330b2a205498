/** What a run is opened with whose ranks train by themselves between meetings. */
import type { Checkpoint } from "../formats/checkpoint/reader.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { ALONE, type Ranks } from "../parallel/ranks.ts";
import type { Training } from "./build.ts";
import { LocalSteps, type OuterRates } from "./local_steps.ts";
import { restoreOuter } from "./outer_state.ts";
import { entryPrefix } from "./rank_states.ts";
import type { RunOptions } from "./recipe.ts";
import type { RunState } from "./run_state.ts";

/** What the options say of it; undefined if ranks exchange gradients in every step. */
export function outerRates(
  { localSteps, outerLr, outerMomentum, communicationDataType }: Pick<
    RunOptions,
    "localSteps" | "outerLr" | "outerMomentum" | "communicationDataType"
  >,
): OuterRates | undefined {
  if (localSteps === undefined) return undefined;
  return { localSteps, outerLr, outerMomentum, communicationDataType };
}

/**
 * Undefined where ranks exchange gradients in every step. Of a new run, or of one that has exchanged
 * gradients so far, the weights are what all begin with; otherwise it goes on as the checkpoint says.
 */
export async function openLocal(
  gpu: Gpu,
  training: Training,
  { options, steps, ranks = ALONE, checkpoint, state }: {
    readonly options: RunOptions;
    readonly steps: number;
    readonly ranks?: Ranks;
    readonly checkpoint?: Checkpoint;
    readonly state?: RunState;
  },
): Promise<LocalSteps | undefined> {
  const rates = outerRates(options);
  if (!rates) return undefined;
  const local = new LocalSteps(gpu, training, ranks, rates, steps);
  if (checkpoint && state?.local) await restoreOuter(local.states, checkpoint);
  else await local.begin();
  return local;
}

/** Refuses a checkpoint between whose meetings nobody would meet any more. */
export function assertMeets(path: string, state: RunState, options: RunOptions): void {
  const { local } = state;
  if (!local || options.localSteps !== undefined) return;
  throw new UserError(
    phrase`checkpoint ${path} belongs to a different run: ${
      option("localSteps")
    } was ${local.local_steps}, is not set`,
    phrase`resume with ${option("localSteps", local.local_steps)}: between meetings the processes'
      weights differ, and only an outer step joins them`,
  );
}

/** Refuses a checkpoint between two meetings as the last: its weights are one rank's own. */
export function assertMet(path: string, { step, local, schedule }: RunState, steps: number): void {
  if (!local || step < steps || step % local.local_steps === 0 || step === schedule?.steps) return;
  throw new UserError(
    phrase`checkpoint ${path} is between two meetings of ${
      option("localSteps", local.local_steps)
    }, and the run ends with step ${steps}: its processes would not meet any more`,
    phrase`give ${option("steps", step + 1)} or more: they meet after the last`,
  );
}

/** Of which of the ranks that wrote a checkpoint one takes the states: of others than were there. */
function sourceOf(rank: number, state: RunState): number {
  return rank % (1 + (state.local?.lazy.length ?? 0));
}

/** The states of this rank in a checkpoint: what their names begin with, and the lazy rule's. */
export function ownStates(state: RunState, { rank }: Pick<Ranks, "rank"> = ALONE) {
  const source = sourceOf(rank, state);
  const lazy = source === 0 ? state.lazy : state.local!.lazy[source - 1];
  return { prefix: entryPrefix(source), lazy };
}

/** What a resume by another number of processes does. */
export function ranksChanged(
  { local, step }: RunState,
  { size }: Pick<Ranks, "size"> = ALONE,
): Phrase[] {
  const before = 1 + (local?.lazy.length ?? 0);
  if (!local || before === size) return [];
  const what = size > before
    ? "the states of the first are also those of the others"
    : "the moments and subspaces of the others are left out, and what they have trained since the " +
      "ranks last met";
  return [`step ${step} was trained by ${before} at a time, and the next is by ${size}: ${what}`];
}

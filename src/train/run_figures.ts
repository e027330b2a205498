/** Events and figures of a run, from what the trainer knows. */
import { adapterName } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Evaluation } from "../inference/perplexity.ts";
import { parameterCount } from "../model/description.ts";
import { elementsOf } from "../numbers/layout.ts";
import { onAScreen, type Phrase, spell } from "../options/phrase.ts";
import { PROPERTIES } from "../options/spelling.ts";
import type { BestEvaluation } from "./best_evaluation.ts";
import { type Training, trainsEmbeddings } from "./build.ts";
import type { EvalEvent, PlanEvent, Summary, WarningEvent } from "./events.ts";
import type { LossWatch } from "./loss_watch.ts";
import { bytesPerStep } from "./exchange.ts";
import { embeddingOptimizerOf } from "./method_fields.ts";
import { bytesPerMeeting } from "./local_steps.ts";
import type { OpenRun } from "./open_run.ts";
import { outerBytes } from "./outer_state.ts";
import type { SubmittedSteps } from "./submitted_steps.ts";

/** `step` is that of the checkpoint that the run continues from. */
export function planEvent(gpu: Gpu, run: OpenRun, step: number): PlanEvent {
  const { recipe, plan, training, data, resumed, team, local } = run;
  return {
    type: "plan",
    parameters: parameterCount(recipe.config),
    trained_parameters: trainedCount(training),
    steps: data.steps,
    resumed_step: step,
    resumed_from: resumed?.path,
    resumed_saved_at: resumed?.savedAt?.toISOString(),
    planned_peak_bytes: plan.plannedPeakBytes,
    allocated_bytes: plan.allocatedBytes,
    memory_limit: Number.isFinite(run.memoryLimit) ? run.memoryLimit : undefined,
    by_purpose: plan.byPurpose,
    adapter: adapterName(gpu.adapter),
    ...team && { ranks: team.ranks.size, exchanged_bytes: exchangedBytes(run, team.ranks.size) },
    ...local && {
      local_steps: recipe.options.localSteps,
      outer_bytes: outerBytes(training),
    },
  };
}

/** In a step, on average over those that share states, and where ranks meet once in several. */
function exchangedBytes({ training, recipe: { options } }: OpenRun, size: number) {
  const { localSteps, communicationDataType: format } = options;
  if (localSteps === undefined) {
    const of = Array.from(
      { length: size },
      (_, rank) => bytesPerStep(training, size, rank, format),
    );
    return Math.round(of.reduce((a, b) => a + b) / size);
  }
  return Math.round(bytesPerMeeting(training, size, format) / localSteps);
}

/** What the trainer knows at the end of a run. */
export interface Progress {
  /** Steps done. */
  readonly step: number;
  /** Of the last step. */
  readonly loss: number;
  /** Loss on the held-out data before the first step. */
  readonly firstEvaluation: number | undefined;
  readonly evaluation: Evaluation | undefined;
  readonly watch: LossWatch;
  readonly best: BestEvaluation;
  readonly submitted: SubmittedSteps;
}

export function runSummary(gpu: Gpu, run: OpenRun, progress: Progress): Summary {
  const { memory, recipe: { options, shape }, plan, training: { optimizer }, data } = run;
  const { step, loss, firstEvaluation, evaluation, watch, submitted } = progress;
  const { state: best, exhausted } = progress.best;
  const fixed = Math.ceil(step / options.updateProjGap);
  const chooses = options.loadBestModelAtEnd || options.earlyStoppingPatience !== undefined;
  return {
    first_loss: watch.first,
    final_loss: loss,
    ...(watch.isAbove ? { diverged: true } : undefined),
    first_eval_loss: firstEvaluation,
    eval_loss: evaluation?.loss,
    eval_perplexity: evaluation?.perplexity,
    ...(chooses && best ? { best_step: best.step, best_eval_loss: best.loss } : undefined),
    ...(exhausted && step < data.steps ? { stopped_early_at: step } : undefined),
    tokens: submitted.totalTokens,
    tokens_per_second: submitted.tokensPerSecond,
    planned_peak_bytes: plan.plannedPeakBytes,
    gpu_peak_bytes: memory.peak,
    embedding_optimizer: trainsEmbeddings(shape)
      ? embeddingOptimizerOf(shape.optimizer.rules.embeddings)
      : undefined,
    subspace_refreshes: optimizer.refreshes.total,
    subspace_refreshes_fixed_interval: optimizer.refreshes.projectors.length * fixed,
    adapter: adapterName(gpu.adapter),
    ...run.team && { ranks: run.team.ranks.size },
    data: data.report,
  };
}

function trainedCount({ optimizer }: Training): number {
  return optimizer.states.reduce(
    (sum, { parameter }) => sum + elementsOf(parameter),
    0,
  );
}

export function evalEvent(step: number, { loss, perplexity, tokens }: Evaluation): EvalEvent {
  return { type: "eval", step, eval_loss: loss, eval_perplexity: perplexity, tokens };
}

export function warningEvent(given: Phrase): WarningEvent {
  const warning = onAScreen(given);
  const message = spell(warning, PROPERTIES);
  return { type: "warning", message, ...(message === warning ? undefined : { phrase: warning }) };
}

/** What admission of a job produces, whatever its kind. */
import type { TrainingShape } from "../../train/build.ts";
import type { CommonFields } from "../protocol/job_request.ts";
import type { NewJob, Services } from "../services.ts";
import type { PlannedJob } from "../services.ts";
import { longestSequence } from "../../model/rope_scaling.ts";
import type { PlanContext } from "../protocol/plan.ts";
import { type ModelFacts, usableTemplates } from "./model_facts.ts";

export type AdmissionServices = Pick<
  Services,
  "options" | "device" | "store" | "own" | "findLauncher" | "pool" | "storage" | "models"
>;

export interface Admission {
  readonly job: NewJob;
  readonly planned: PlannedJob;
  /** Where the request has its hyperparameters and its files. */
  readonly fields: {
    readonly hyperparameters: string;
    readonly files: { readonly training: string; readonly validation: string };
  };
  /** The model whose weights are trained; undefined for random ones. */
  readonly base?: ModelFacts;
}

/** What the answer to a plan says of it. */
export function planContext({ job, base }: Admission): Omit<PlanContext, "batches"> {
  return {
    hyperparameters: job.request.hyperparameters as Record<string, unknown>,
    base: base && {
      positions: longestSequence(base.config),
      vocabSize: base.config.vocabSize,
      templates: usableTemplates(base),
    },
    warnings: base?.warnings ?? [],
  };
}

/** The part of its request that every job keeps, as responses show it. */
export function keptRequest(
  { suffix, metadata }: CommonFields,
  { seed, shape, hyperparameters }: {
    readonly seed: number;
    readonly shape: TrainingShape;
    readonly hyperparameters: Readonly<Record<string, unknown>>;
  },
) {
  const rank = shape.optimizer.projection?.rank ?? shape.optimizer.rank;
  return {
    suffix: suffix ?? null,
    metadata: metadata ?? null,
    seed,
    // Show the default rank if none was given.
    hyperparameters: { ...(rank ? { rank } : undefined), ...hyperparameters },
  };
}

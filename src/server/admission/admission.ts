/** What admission of a job produces, whatever its kind. */
import type { TrainingShape } from "../../train/build.ts";
import type { CommonFields } from "../protocol/job_request.ts";
import type { NewJob, Services } from "../services.ts";
import type { PlannedJob } from "../services.ts";

export type AdmissionServices = Pick<Services, "options" | "device" | "store" | "models">;

export interface Admission {
  readonly job: NewJob;
  readonly planned: PlannedJob;
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
  const rank = shape.optimizer.projection?.rank;
  return {
    suffix: suffix ?? null,
    metadata: metadata ?? null,
    seed,
    // Show the default rank if none was given.
    hyperparameters: { ...(rank ? { rank } : undefined), ...hyperparameters },
  };
}

/** What admitting a job comes to, whatever its kind. */
import type { TrainingShape } from "../../train/build.ts";
import type { CommonFields } from "../protocol/job_request.ts";
import type { NewJob, Services } from "../services.ts";
import type { PlannedJob } from "../services.ts";

export type AdmissionServices = Pick<Services, "options" | "device" | "store" | "models">;

export interface Admission {
  readonly job: NewJob;
  readonly planned: PlannedJob;
}

/** What every job keeps of its request, as answers show it. */
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
    // The rank that a run would take, where none was asked for.
    hyperparameters: { ...(rank ? { rank } : undefined), ...hyperparameters },
  };
}

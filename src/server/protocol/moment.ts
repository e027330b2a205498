/** What a running job does at the moment, as clients see it. */
import { z } from "../../packages/zod_openapi.ts";
import type { RunPhase } from "../../train/events.ts";
import type { Activity, Preparation } from "../services.ts";

const PHASES = [
  "compiling kernels",
  "training",
  "outer step",
  "evaluating",
  "generating samples",
  "saving a checkpoint",
  "checking the best model",
  "loading the best model",
  "saving the model",
] as const satisfies readonly RunPhase[];

export const activitySchema = z.object({
  phase: z.enum(PHASES),
  step: z.number().int(),
  part: z.enum(["forward", "backward", "refresh"]).optional().openapi({
    description: "Of a step that takes seconds: what the GPU has reached",
  }),
  layer: z.number().int().optional(),
  layers: z.number().int().optional(),
  subspace: z.number().int().optional().openapi({ description: "Subspaces that it has refreshed" }),
  subspaces: z.number().int().optional(),
  done: z.number().int().optional().openapi({
    description:
      "Kernels, layers and refreshes of a step, batches, samples, or bytes saved or read",
  }),
  total: z.number().int().optional(),
  seconds_left: z.number().optional().openapi({
    description: "Seconds that the rest of the step will take, once that is known",
  }),
}).openapi("JobActivity");

export const preparationSchema = z.object({
  what: z.string(),
  share: z.number().optional(),
  count: z.number().int().optional(),
}).openapi("JobPreparation");

/** An item of a job's stream. */
export const momentSchema = z.object({
  job_id: z.string(),
  preparation: preparationSchema.nullable(),
  activity: activitySchema.nullable(),
}).openapi("JobMoment");

export function toActivity(activity: Activity | undefined) {
  if (!activity) return null;
  const { phase, step, part, layer, layers, subspace, subspaces, done, total, seconds_left } =
    activity;
  return { phase, step, part, layer, layers, subspace, subspaces, done, total, seconds_left };
}

export function toMoment(
  jobId: string,
  { preparation, activity }: { readonly preparation?: Preparation; readonly activity?: Activity },
): z.output<typeof momentSchema> {
  const { what, share, count } = preparation ?? {};
  return {
    job_id: jobId,
    preparation: what === undefined ? null : { what, share, count },
    activity: toActivity(activity),
  };
}

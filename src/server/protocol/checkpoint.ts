/** Checkpoints of a job as OpenAI's API shows them. */
import { z } from "../../packages/zod_openapi.ts";
import type { CheckpointRecord, JobRecord } from "../store/records.ts";
import { checkpointModelName } from "./job.ts";
import { pageSchema } from "./page.ts";

const common = {
  id: z.string(),
  created_at: z.number().int().openapi({ description: "Unix seconds" }),
  step_number: z.number().int(),
  metrics: z.record(z.string(), z.number()).openapi({
    description: "The step's step, train_loss and, if evaluated, valid_loss",
    example: { step: 40, train_loss: 1.25, valid_loss: 1.31 },
  }),
};

const fineTuningCheckpoint = z.object({
  object: z.literal("fine_tuning.job.checkpoint"),
  ...common,
  fine_tuned_model_checkpoint: z.string().openapi({ description: "Its model name" }),
  fine_tuning_job_id: z.string(),
}).openapi("FineTuningJobCheckpoint");

const pretrainingCheckpoint = z.object({
  object: z.literal("pretraining.job.checkpoint"),
  ...common,
  trained_model_checkpoint: z.string().openapi({ description: "Its model name" }),
  pretraining_job_id: z.string(),
}).openapi("PretrainingJobCheckpoint");

export const checkpointPages = {
  fine_tuning: pageSchema(fineTuningCheckpoint).openapi("FineTuningJobCheckpointPage"),
  pretraining: pageSchema(pretrainingCheckpoint).openapi("PretrainingJobCheckpointPage"),
} as const;

export function toCheckpoint(
  { id, createdAt, step, metrics }: CheckpointRecord,
  job: JobRecord,
): z.output<typeof fineTuningCheckpoint> | z.output<typeof pretrainingCheckpoint> {
  const name = checkpointModelName(job, step);
  const shared = {
    id,
    created_at: createdAt,
    step_number: step,
    metrics: { step, ...metrics },
  };
  return job.kind === "fine_tuning"
    ? {
      object: "fine_tuning.job.checkpoint",
      ...shared,
      fine_tuned_model_checkpoint: name,
      fine_tuning_job_id: job.id,
    }
    : {
      object: "pretraining.job.checkpoint",
      ...shared,
      trained_model_checkpoint: name,
      pretraining_job_id: job.id,
    };
}

/** Jobs as clients see them: OpenAI's fine-tuning job, and the same for pre-training. */
import type { JobRecord } from "../records.ts";

/**
 * The name of a job's result among the models, as OpenAI builds it:
 * `ft:{base}:{suffix}:{last letters of the job's id}`; `pt:` of a pre-training run.
 */
export function resultModelName(job: Pick<JobRecord, "id" | "kind" | "model" | "request">): string {
  const prefix = job.kind === "fine_tuning" ? "ft" : "pt";
  const suffix = typeof job.request.suffix === "string" ? job.request.suffix : "";
  return [prefix, job.model, suffix, job.id.slice(-8)].join(":");
}

/** The name of the model that a checkpoint of the job holds. */
export function checkpointModelName(
  job: Pick<JobRecord, "id" | "kind" | "model" | "request">,
  step: number,
): string {
  return `${resultModelName(job)}:ckpt-step-${step}`;
}

/** What distinguishes the routes of fine-tuning jobs from those of pre-training. */
import { z } from "../../../packages/zod_openapi.ts";
import { notFound } from "../../api_error.ts";
import {
  fineTuningJobPage,
  fineTuningJobSchema,
  type JobSources,
  pretrainingJobPage,
  pretrainingJobSchema,
  toFineTuningJob,
  toPretrainingJob,
} from "../../protocol/job.ts";
import type { JobKind, JobRecord } from "../../store/records.ts";
import type { Services } from "../../services.ts";

export interface JobKindRoutes {
  readonly kind: JobKind;
  /** `/v1/fine_tuning`; its jobs are below. */
  readonly path: string;
  readonly tag: string;
  /** Used in messages: `No such fine-tuning job`. */
  readonly what: string;
  /** Suffix of operation names: `cancelFineTuningJob`. */
  readonly operation: string;
  /** OpenAI names the first differently. */
  readonly listOperation: string;
  readonly schema: typeof fineTuningJobSchema | typeof pretrainingJobSchema;
  readonly page: typeof fineTuningJobPage | typeof pretrainingJobPage;
  show(job: JobRecord, sources: JobSources): z.output<JobKindRoutes["schema"]>;
}

export const FINE_TUNING: JobKindRoutes = {
  kind: "fine_tuning",
  path: "/v1/fine_tuning",
  tag: "Fine-tuning",
  what: "fine-tuning job",
  operation: "FineTuningJob",
  listOperation: "listPaginatedFineTuningJobs",
  schema: fineTuningJobSchema,
  page: fineTuningJobPage,
  show: toFineTuningJob,
};

export const PRETRAINING: JobKindRoutes = {
  kind: "pretraining",
  path: "/v1/pretraining",
  tag: "Pre-training",
  what: "pre-training job",
  operation: "PretrainingJob",
  listOperation: "listPretrainingJobs",
  schema: pretrainingJobSchema,
  page: pretrainingJobPage,
  show: toPretrainingJob,
};

export const jobParams = z.object({
  id: z.string().min(1).max(100).openapi({ example: "ftjob-AbCdEfGhIjKlMnOpQrStUvWx" }),
});

/** The job of that id, if it is of this kind. Throws an ApiError 404 otherwise. */
export function findJob(
  { store }: Pick<Services, "store">,
  { kind, what }: Pick<JobKindRoutes, "kind" | "what">,
  id: string,
): JobRecord {
  const job = store.jobs.get(id);
  if (job?.kind !== kind) throw notFound(what, id);
  return job;
}

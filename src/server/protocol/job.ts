/** Jobs as clients see them: OpenAI's fine-tuning job, and the same for pre-training. */
import { z } from "../../packages/zod_openapi.ts";
import { PURPOSES } from "../../gpu/tensor.ts";
import {
  HINDRANCE_CODES,
  JOB_STATUSES,
  type JobRecord,
  type JobStatus,
  placesOf,
} from "../store/records.ts";
import type { Services } from "../services.ts";
import { activitySchema, preparationSchema, toActivity } from "./moment.ts";
import { pageSchema } from "./page.ts";

type Named = Pick<JobRecord, "id" | "kind" | "model" | "request">;

/**
 * The model name of a job's result, in OpenAI's format: `ft:{base}:{suffix}:{last letters of the
 * job's id}`; `pt:` for a pre-training run.
 */
export function resultModelName(job: Named): string {
  const prefix = job.kind === "fine_tuning" ? "ft" : "pt";
  const suffix = typeof job.request.suffix === "string" ? job.request.suffix : "";
  return [prefix, job.model, suffix, job.id.slice(-8)].join(":");
}

/** The model name of a checkpoint of the job. */
export function checkpointModelName(job: Named, step: number): string {
  return `${resultModelName(job)}:ckpt-step-${step}`;
}

/** Bytes of GPU memory by purpose. */
export const byPurposeSchema = z.object(
  Object.fromEntries(PURPOSES.map((purpose) => [purpose, z.number()])) as Record<
    typeof PURPOSES[number],
    z.ZodNumber
  >,
).openapi("MemoryByPurpose");

export const jobStatusSchema = z.enum(JOB_STATUSES).openapi("JobStatus");

/** Most warnings that a job shows; all are among its events. */
const MOST_WARNINGS = 50;

const place = {
  worker: z.string().openapi({
    description: "The worker, `server-1`, `server-2`, … on the server's own machine",
  }),
  card: z.string().openapi({ description: "The name of its GPU" }),
};

const time = () => z.number().int().nullable().openapi({ description: "Unix seconds" });

/** Fields of jobs of every kind. */
const common = {
  id: z.string(),
  created_at: z.number().int().openapi({ description: "Unix seconds" }),
  finished_at: time(),
  estimated_finish: time(),
  status: jobStatusSchema,
  error: z.object({ code: z.string(), message: z.string(), param: z.string().nullable() })
    .openapi("JobError").nullable(),
  organization_id: z.string(),
  result_files: z.array(z.string()),
  seed: z.number().int(),
  trained_tokens: z.number().int().nullable(),
  metadata: z.record(z.string(), z.string()).nullable(),
  user_provided_suffix: z.string().nullable(),
  plan: z.object({ planned_peak_bytes: z.number(), by_purpose: byPurposeSchema }).openapi(
    "JobMemory",
    {
      description:
        "GPU memory the run will take, each of its processes if it has several; like the " +
        "following fields, beyond OpenAI's API",
    },
  ),
  progress: z.object({ step: z.number().int(), total_steps: z.number().int().nullable() })
    .openapi("JobProgress").nullable().openapi({ description: "Null before the first step" }),
  sequence: z.number().int().openapi({
    description: "Order of creation, over jobs of every kind; times may go back with the clock",
  }),
  queue_turn: z.number().int().nullable().openapi({
    description: "Order of the queue: of the queued jobs, of every kind, the lowest runs next; " +
      "null for a job that does not wait for its turn",
  }),
  preparation: preparationSchema.nullable().openapi({
    description: "What a running job is doing before its first step",
  }),
  activity: activitySchema.nullable().openapi({
    description: "What it is doing from then on, as of half a second ago",
  }),
  best: z.object({ step: z.number().int(), valid_loss: z.number() }).openapi("JobBest").nullable()
    .openapi({
      description: "The lowest validation loss, where it chooses the model or ends the run",
    }),
  stopped_early_at: z.number().int().nullable().openapi({
    description: "The step at which early stopping ended the run",
  }),
  warnings: z.array(
    z.object({ message: z.string(), created_at: z.number().int() }).openapi("JobWarning"),
  ).openapi({
    description: "What to know of the run, such as examples that are cut: the latest " +
      `${MOST_WARNINGS}`,
  }),
  runs_on: z.object({
    ...place,
    others: z.array(z.object(place).openapi("WorkerPlace")).openapi({
      description: "The workers that its other processes run on, if it has several (`ranks`)",
    }),
  }).openapi("JobPlace").nullable().openapi({ description: "Where a running job runs" }),
  status_reason: z.string().nullable().openapi({
    description: "Why it is paused, unless a client paused it",
  }),
  status_reason_code: z.enum(HINDRANCE_CODES).nullable().openapi({
    description: "The same for programs: the server's disk is full, or fails, or a model or " +
      "another thing that the job needs is away",
  }),
};

const auto = (value: z.ZodType) => z.union([value, z.literal("auto")]);

export const fineTuningJobSchema = z.object({
  object: z.literal("fine_tuning.job"),
  ...common,
  model: z.string(),
  fine_tuned_model: z.string().nullable().openapi({ description: "Null until it succeeds" }),
  training_file: z.string(),
  validation_file: z.string().nullable(),
  hyperparameters: z.object({
    n_epochs: auto(z.number()),
    batch_size: auto(z.number()),
    learning_rate_multiplier: auto(z.number()),
  }).openapi("FineTuningJobHyperparameters"),
  integrations: z.array(z.unknown()),
  method: z.object({
    type: z.literal("supervised"),
    supervised: z.object({ hyperparameters: z.record(z.string(), z.unknown()) }),
  }).openapi("FineTuningJobMethod", { description: "With the values the run uses" }),
}).openapi("FineTuningJob");

export const pretrainingJobSchema = z.object({
  object: z.literal("pretraining.job"),
  ...common,
  model: z.union([z.string(), z.record(z.string(), z.unknown())]),
  from: z.string().nullable().openapi({
    description: "The model whose weights are trained further, which `model` names as well; null " +
      "for random weights",
  }),
  trained_model: z.string().nullable().openapi({ description: "Null until it succeeds" }),
  training_files: z.array(z.string()),
  validation_files: z.array(z.string()),
  tokenizer: z.string().nullable().openapi({ description: "Null for that of `from`" }),
  hyperparameters: z.record(z.string(), z.unknown()).openapi({
    description: "With the values the run uses",
  }),
}).openapi("PretrainingJob");

export const fineTuningJobPage = pageSchema(fineTuningJobSchema).openapi("FineTuningJobPage");
export const pretrainingJobPage = pageSchema(pretrainingJobSchema).openapi("PretrainingJobPage");

/** Sources of the fields that are not in a job's record. */
export type JobSources = Pick<Services, "store" | "jobs">;

type Shown = {
  readonly seed: number;
  readonly suffix: string | null;
  readonly metadata: Record<string, string> | null;
  readonly hyperparameters: Record<string, unknown>;
};

export function toFineTuningJob(
  job: JobRecord,
  sources: JobSources,
): z.output<typeof fineTuningJobSchema> {
  const { hyperparameters, learning_rate_multiplier } = job.request as Shown & {
    learning_rate_multiplier: number;
  };
  const { steps, epochs, batch_size } = hyperparameters as Record<string, number>;
  // A run with a number of steps has no number of epochs, and one may choose them for its data.
  const openai = {
    n_epochs: steps === undefined ? epochs ?? "auto" as const : "auto" as const,
    batch_size,
    learning_rate_multiplier,
  };
  return {
    object: "fine_tuning.job",
    ...commonFields(job, sources),
    model: job.model,
    fine_tuned_model: job.resultModel ?? null,
    training_file: job.trainingFiles[0],
    validation_file: job.validationFiles[0] ?? null,
    hyperparameters: openai,
    integrations: [],
    method: {
      type: "supervised",
      supervised: { hyperparameters: { ...hyperparameters, ...openai } },
    },
  };
}

export function toPretrainingJob(
  job: JobRecord,
  sources: JobSources,
): z.output<typeof pretrainingJobSchema> {
  const { model, from, tokenizer, hyperparameters } = job.request as Shown & {
    model?: string | Record<string, unknown>;
    from?: string;
    tokenizer: string | null;
  };
  return {
    object: "pretraining.job",
    ...commonFields(job, sources),
    model: model ?? job.model,
    from: from ?? null,
    trained_model: job.resultModel ?? null,
    training_files: [...job.trainingFiles],
    validation_files: [...job.validationFiles],
    tokenizer,
    hyperparameters,
  };
}

/** Statuses of jobs that wait for their turn. */
const WAITING: readonly JobStatus[] = ["validating_files", "queued"];

function commonFields(job: JobRecord, { store, jobs }: JobSources) {
  const { seed, suffix, metadata } = job.request as Shown;
  const { error, plan } = job;
  const last = store.events.latest(job.id);
  // Its process may outlive that status for a moment.
  const running = job.status === "running";
  return {
    id: job.id,
    created_at: job.createdAt,
    finished_at: job.finishedAt ?? null,
    estimated_finish: job.estimatedFinish ?? null,
    status: job.status,
    error: error ? { ...error, param: error.param ?? null } : null,
    organization_id: "org-local",
    result_files: [...job.resultFiles],
    seed,
    trained_tokens: job.trainedTokens ?? null,
    metadata,
    user_provided_suffix: suffix,
    plan: { planned_peak_bytes: plan.plannedPeakBytes, by_purpose: { ...plan.byPurpose } },
    progress: last
      ? { step: last.step, total_steps: last.data.total_steps as number | undefined ?? null }
      : null,
    sequence: store.jobs.placeOf(job.id),
    queue_turn: WAITING.includes(job.status) ? job.turn : null,
    preparation: running ? jobs.preparation(job.id) ?? null : null,
    activity: running ? toActivity(jobs.activity(job.id)) : null,
    best: choosesByEvaluation(job) ? store.events.best(job.id) ?? null : null,
    stopped_early_at: store.events.keyed(job.id, "early_stop", 1).at(0)?.data.step as number ??
      null,
    warnings: store.events.keyed(job.id, "warning", MOST_WARNINGS)
      .map(({ message, createdAt }) => ({ message, created_at: createdAt })),
    runs_on: running ? toPlace(job) : null,
    status_reason: job.reason ?? null,
    status_reason_code: job.reasonCode ?? null,
  };
}

function toPlace({ runsOn }: JobRecord) {
  const [first, ...others] = placesOf(runsOn);
  return first ? { ...first, others } : null;
}

function choosesByEvaluation({ options }: JobRecord): boolean {
  return options.loadBestModelAtEnd === true || options.earlyStoppingPatience !== undefined;
}

/** Events of jobs as clients see them, in OpenAI's shape. */
import { z } from "../../packages/zod_openapi.ts";
import type { EventRecord } from "../store/records.ts";
import { eventId } from "../store/events.ts";
import { jobStatusSchema } from "./job.ts";
import { momentSchema } from "./moment.ts";
import { pageSchema } from "./page.ts";

export const eventSchema = z.object({
  object: z.literal("fine_tuning.job.event"),
  id: z.string().openapi({ example: "ftevent-12" }),
  job_id: z.string().openapi({ example: "ftjob-AbCdEfGhIjKlMnOpQrStUvWx" }),
  created_at: z.int().openapi({ description: "Unix seconds" }),
  level: z.enum(["info", "warn", "error"]),
  message: z.string().openapi({ example: "Step 12/100: training loss=1.2345" }),
  type: z.enum(["message", "metrics"]),
  data: z.record(z.string(), z.unknown()).openapi({
    description: "For metrics: `step`, `total_steps`, `train_loss`, `lr`, `tokens`, " +
      "`tokens_per_second`, `step_ms`, `gpu_bytes`, `gpu_peak_bytes`, `subspace_refreshes`, and " +
      "if present `grad_norm`, `refreshed`, `restarted`, `valid_loss` and `valid_perplexity`",
  }),
}).openapi("JobEvent");

/** What a stream of a job's metrics sends. */
export const metricsItemSchema = z.union([
  z.looseObject({ step: z.int() }).openapi({ description: "The data of an event" }),
  z.object({ job_id: z.string(), status: jobStatusSchema }).openapi({
    description: "Sent as `event: status` when it changes",
  }),
  momentSchema.openapi({
    description: "Sent as `event: moment` while it runs: not stored, and without an id",
  }),
]).openapi("JobMetricsItem");

export const eventPageSchema = pageSchema(eventSchema).openapi("JobEventPage");

export function toEvent(event: EventRecord): z.output<typeof eventSchema> {
  return {
    object: "fine_tuning.job.event",
    id: eventId(event.seq),
    job_id: event.jobId,
    created_at: event.createdAt,
    level: event.level,
    message: event.message,
    type: event.type,
    data: event.data,
  };
}

/** A job's plan in advance, for the dashboard's form. */
import { z } from "@hono/zod-openapi";
import { snakeCase } from "../../text.ts";
import type { PlannedJob } from "../services.ts";
import { byPurposeSchema } from "./job.ts";

export const planSchema = z.object({
  object: z.literal("plan"),
  planned_peak_bytes: z.number().openapi({ description: "Of GPU memory, to the byte" }),
  by_purpose: byPurposeSchema,
  limit: z.number().nullable().openapi({
    description: "Bytes of GPU memory that there are; null where nobody knows",
  }),
  fits: z.boolean(),
  alternatives: z.array(z.object({
    change: z.record(z.string(), z.unknown()).openapi({
      description: "Hyperparameters to set",
      example: { activation_checkpointing: true, batch_size: 2 },
    }),
    bytes: z.number(),
  })).openapi({ description: "What would fit, where this does not" }),
  checkpoint_bytes: z.number().openapi({ description: "Of disk, of each checkpoint" }),
  result_bytes: z.number().openapi({ description: "Of disk, of the result" }),
  hyperparameters: z.record(z.string(), z.unknown()).openapi({
    description: "The values that the run would go by",
  }),
}).openapi("Plan");

export function toPlan(
  { plan, limit, fits, alternatives, disk }: PlannedJob,
  hyperparameters: Record<string, unknown>,
): z.output<typeof planSchema> {
  return {
    object: "plan",
    planned_peak_bytes: plan.plannedPeakBytes,
    by_purpose: { ...plan.byPurpose },
    limit: limit ?? null,
    fits,
    alternatives: alternatives.map(({ options, bytes }) => ({ change: asFields(options), bytes })),
    checkpoint_bytes: disk.checkpointBytes,
    result_bytes: disk.resultBytes,
    hyperparameters,
  };
}

/** Options under their names in requests. */
function asFields(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).map(([option, value]) => [snakeCase(option), value]),
  );
}

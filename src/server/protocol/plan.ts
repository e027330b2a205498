/** A job's plan in advance, for the dashboard's form. */
import { z } from "../../packages/zod_openapi.ts";
import { snakeCase } from "../../text.ts";
import { type Alternative, toAlternatives } from "../../train/does_not_fit.ts";
import type { Fit } from "../../train/fit.ts";
import type { PlannedJob } from "../services.ts";
import { byPurposeSchema } from "./job.ts";

const alternativeSchema = z.object({
  change: z.record(z.string(), z.unknown()).openapi({
    description: "Hyperparameters to set",
    example: { activation_checkpointing: true, batch_size: 2 },
  }),
  bytes: z.number(),
}).openapi("PlanAlternative");

export const planSchema = z.object({
  object: z.literal("plan"),
  planned_peak_bytes: z.number().openapi({
    description: "Peak GPU memory in bytes, exact; like the others of each of `ranks` processes",
  }),
  allocated_bytes: z.number().openapi({
    description: "What the driver is asked for by it, in blocks; this must fit the limit",
  }),
  by_purpose: byPurposeSchema,
  limit: z.number().nullable().openapi({
    description: "Available GPU memory in bytes; null if unknown",
  }),
  fits: z.boolean(),
  alternatives: z.array(alternativeSchema).nullable().openapi({
    description: "Settings that would fit, if this job does not; null if they cannot be looked for",
  }),
  largest_batches: z.array(alternativeSchema).openapi({
    description:
      "What fits with this method and rank: the largest `batch_size` by `seq_len`, with " +
      "ever more settings that save memory; empty if the limit is unknown",
  }),
  checkpoint_bytes: z.number().openapi({ description: "Disk space per checkpoint" }),
  result_bytes: z.number().openapi({ description: "Disk space of the result" }),
  hyperparameters: z.record(z.string(), z.unknown()).openapi({
    description: "The values the run would use",
  }),
  base: z.object({
    positions: z.number().openapi({ description: "Tokens of the longest sequence" }),
    vocab_size: z.number(),
    templates: z.array(z.string()).openapi({
      description: "Values of `template` that its tokenizer can use; `default` is its own",
    }),
  }).openapi("PlanBase").nullable().openapi({
    description: "The model to be trained; null for random weights",
  }),
  warnings: z.array(z.object({ message: z.string() })).openapi({
    description: "What is odd about that model's files",
  }),
}).openapi("Plan");

/** What a plan says beside its figures. */
export interface PlanContext {
  readonly batches: readonly Fit[];
  readonly hyperparameters: Record<string, unknown>;
  /** Undefined for random weights. */
  readonly base?: {
    readonly positions: number;
    readonly vocabSize: number;
    readonly templates: readonly string[];
  };
  readonly warnings: readonly string[];
}

export function toPlan(
  { plan, limit, fits, alternatives, disk }: PlannedJob,
  { hyperparameters, base, warnings, batches }: PlanContext,
): z.output<typeof planSchema> {
  return {
    object: "plan",
    planned_peak_bytes: plan.plannedPeakBytes,
    allocated_bytes: plan.allocatedBytes,
    by_purpose: { ...plan.byPurpose },
    limit: limit ?? null,
    fits,
    alternatives: alternatives?.map(toChange) ?? null,
    largest_batches: toAlternatives(batches).map(toChange),
    checkpoint_bytes: disk.checkpointBytes,
    result_bytes: disk.resultBytes,
    hyperparameters,
    base: base
      ? {
        positions: base.positions,
        vocab_size: base.vocabSize,
        templates: [...base.templates],
      }
      : null,
    warnings: warnings.map((message) => ({ message })),
  };
}

const toChange = ({ options, bytes }: Alternative) => ({ change: asFields(options), bytes });

/** Options under their names in requests. */
function asFields(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).map(([option, value]) => [snakeCase(option), value]),
  );
}

/** The curves of a job, for the dashboard's charts. */
import { z } from "../../packages/zod_openapi.ts";
import type { Store } from "../store/store.ts";

const step = z.number().int();

export const jobMetricsSchema = z.object({
  object: z.literal("job.metrics"),
  steps: z.array(z.looseObject({
    step,
    total_steps: z.number().int().optional(),
    train_loss: z.number(),
    grad_norm: z.number().optional().openapi({
      description: "Before clipping, of all gradients together; absent where they are not clipped",
    }),
    lr: z.number().optional(),
    tokens: z.number().int().optional(),
    tokens_per_second: z.number().optional(),
    step_ms: z.number().optional(),
    gpu_bytes: z.number().optional(),
    gpu_peak_bytes: z.number().optional(),
    subspace_refreshes: z.number().int().optional(),
  })),
  evaluations: z.array(
    z.object({ step, valid_loss: z.number(), valid_perplexity: z.number().optional() }),
  ),
  refreshes: z.array(z.object({ step, parameters: z.array(z.string()) })).openapi({
    description: "Steps that refreshed subspaces, and the parameters refreshed",
  }),
  samples: z.array(z.object({ step, prompt: z.string(), text: z.string() })),
  data: z.record(z.string(), z.unknown()).nullable().openapi({
    description: "Which examples the run learns, and what of them it does not; null if unknown",
  }),
  plan: z.record(z.string(), z.unknown()).nullable().openapi({
    description: "What the run reported before its first step; null until then",
  }),
}).openapi("JobMetrics");
export type JobMetrics = z.output<typeof jobMetricsSchema>;

export const jobMetricsQuery = z.object({
  max_points: z.coerce.number().int().min(2).max(5000).default(500).openapi({
    description:
      "Downsample the steps of a longer run to about this many; evaluations and refreshes " +
      "are all kept",
  }),
});

/** Number of samples shown, the newest. */
const MOST_SAMPLES = 200;

/** Returns events' data unchanged: missing fields were not measured. */
export function jobMetrics(
  { events }: Pick<Store, "events">,
  jobId: string,
  maxPoints: number,
): JobMetrics {
  const points = events.metrics(jobId, { maxPoints }).map(({ data }) => data);
  return {
    object: "job.metrics",
    steps: points.filter(({ train_loss }) => train_loss !== undefined)
      .map(({ refreshed: _, valid_loss: _loss, valid_perplexity: _perplexity, ...rest }) =>
        rest as JobMetrics["steps"][number]
      ),
    evaluations: onePerStep(points.filter(({ valid_loss }) => valid_loss !== undefined))
      .map(({ step, valid_loss, valid_perplexity }) =>
        ({ step, valid_loss, valid_perplexity }) as JobMetrics["evaluations"][number]
      ),
    refreshes: points.filter(({ refreshed }) => (refreshed as string[] | undefined)?.length)
      .map(({ step, refreshed }) =>
        ({ step, parameters: refreshed }) as JobMetrics["refreshes"][number]
      ),
    samples: events.keyed(jobId, "sample", MOST_SAMPLES)
      .map(({ data: { step, prompt, text } }) =>
        ({ step, prompt, text }) as JobMetrics["samples"][number]
      ),
    data: events.keyed(jobId, "data", 1)[0]?.data ?? null,
    plan: events.keyed(jobId, "plan", 1)[0]?.data ?? null,
  };
}

/** Merges duplicates: after a resume an evaluation may be reported again. */
function onePerStep(points: readonly Readonly<Record<string, unknown>>[]) {
  return [...new Map(points.map((point) => [point.step, point])).values()];
}

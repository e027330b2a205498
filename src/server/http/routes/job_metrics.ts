/** `/v1/…/jobs/{id}/metrics`: the curves so far; what follows comes as events. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { createApp } from "../app_base.ts";
import { jobMetrics, jobMetricsQuery, jobMetricsSchema } from "../../protocol/job_metrics.ts";
import type { Services } from "../../services.ts";
import { findJob, type JobKindRoutes, jobParams } from "./job_kinds.ts";
import { answer } from "../answer.ts";

/** Answers that are kept: of jobs that somebody looks at. */
const KEPT = 16;

/** Texts that hold until something new is told: many look at the same curves. */
class LatestTexts {
  readonly #texts = new Map<string, { readonly seq: number; readonly text: string }>();

  get(key: string, seq: number, make: () => string): string {
    const known = this.#texts.get(key);
    if (known?.seq === seq) return known.text;
    const text = make();
    this.#texts.delete(key);
    this.#texts.set(key, { seq, text });
    // The first is the one that was made the longest ago.
    if (this.#texts.size > KEPT) this.#texts.delete(this.#texts.keys().next().value!);
    return text;
  }
}

export function jobMetricsRoutes(services: Services, of: JobKindRoutes): OpenAPIHono {
  const { path, tag, operation } = of;
  const app = createApp(), cache = new LatestTexts();
  app.openapi(
    createRoute({
      method: "get",
      path: `${path}/jobs/{id}/metrics`,
      operationId: `retrieve${operation}Metrics`,
      tags: [tag],
      summary: "The curves of a job: losses, rates, memory, refreshes, samples",
      request: { params: jobParams, query: jobMetricsQuery },
      responses: answer("The curves", jobMetricsSchema),
    }),
    (context) => {
      const { id } = findJob(services, of, context.req.valid("param").id);
      const { max_points } = context.req.valid("query");
      const { store } = services;
      const body = cache.get(
        `${id} ${max_points}`,
        store.events.lastSeq(),
        () => JSON.stringify(jobMetrics(store, id, max_points)),
      );
      return context.body(body, 200, { "content-type": "application/json" }) as never;
    },
  );
  return app;
}

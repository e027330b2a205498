/** `/v1/…/jobs/{id}/metrics`: the curves so far; later points come as events. */
import { createRoute, type OpenAPIHono } from "../../../packages/zod_openapi.ts";
import { createApp } from "../app_base.ts";
import { errors } from "../error_responses.ts";
import { jobMetrics, jobMetricsQuery, jobMetricsSchema } from "../../protocol/job_metrics.ts";
import type { Services } from "../../services.ts";
import { findJob, type JobKindRoutes, jobParams } from "./job_kinds.ts";
import { answer } from "../answer.ts";

/** Responses cached, for jobs being viewed. */
const KEPT = 16;

/** Caches responses until a job has a new event: several viewers read the same curves. */
class LatestTexts {
  readonly #texts = new Map<string, { readonly seq: number; readonly text: string }>();

  get(key: string, seq: number, make: () => string): string {
    const known = this.#texts.get(key);
    if (known?.seq === seq) return known.text;
    const text = make();
    this.#texts.delete(key);
    this.#texts.set(key, { seq, text });
    // The first entry is the oldest.
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
      summary: "Retrieve a job's curves: losses, rates, memory, refreshes, samples",
      request: { params: jobParams, query: jobMetricsQuery },
      responses: { ...answer("The curves", jobMetricsSchema), ...errors(404) },
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

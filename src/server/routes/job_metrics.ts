/** `/v1/…/jobs/{id}/metrics`: the curves so far; what follows comes as events. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { createApp } from "../app_base.ts";
import { jobMetrics, jobMetricsQuery, jobMetricsSchema } from "../protocol/job_metrics.ts";
import type { Services } from "../services.ts";
import { answer, findJob, type JobKindRoutes, jobParams } from "./job_kinds.ts";

export function jobMetricsRoutes(services: Services, of: JobKindRoutes): OpenAPIHono {
  const { path, tag, operation } = of;
  const app = createApp();
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
      return context.json(jobMetrics(services.store, id, max_points), 200);
    },
  );
  return app;
}

/** `/v1/…/jobs/{id}/report`: the run as a page. */
import { createRoute, type OpenAPIHono } from "../../../packages/zod_openapi.ts";
import { jobReport } from "../../jobs/job_report.ts";
import type { Services } from "../../services.ts";
import { createApp } from "../app_base.ts";
import { errors } from "../error_responses.ts";
import { findJob, type JobKindRoutes, jobParams } from "./job_kinds.ts";

/** The page has its styles in itself, and needs nothing else. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";

export function jobReportRoutes(services: Services, of: JobKindRoutes): OpenAPIHono {
  const { path, tag, operation } = of;
  const app = createApp();
  app.openapi(
    createRoute({
      method: "get",
      path: `${path}/jobs/{id}/report`,
      operationId: `retrieve${operation}Report`,
      tags: [tag],
      summary: "Retrieve a job's report as a page: curves, memory, refreshes, samples, options",
      description: "Of a job that has not ended, as far as it has come. The page is one file.",
      request: { params: jobParams },
      responses: {
        200: {
          description: "The page",
          content: { "text/html": { schema: { type: "string" as const } } },
        },
        ...errors(404),
      },
    }),
    async (context) => {
      const job = findJob(services, of, context.req.valid("param").id);
      return context.html(await jobReport(job, services), 200, {
        "content-security-policy": POLICY,
      }) as never;
    },
  );
  return app;
}

/** All routes of one kind of jobs. */
import type { OpenAPIHono } from "../../../packages/zod_openapi.ts";
import { createApp } from "../app_base.ts";
import type { Services } from "../../services.ts";
import { checkpointRoutes } from "./checkpoints.ts";
import { jobActionRoutes } from "./job_actions.ts";
import { type JobCreation, jobCreationRoutes } from "./job_create.ts";
import type { JobKindRoutes } from "./job_kinds.ts";
import { jobMetricsRoutes } from "./job_metrics.ts";
import { jobReportRoutes } from "./job_report.ts";

export function jobRoutes<Request>(
  services: Services,
  kind: JobKindRoutes,
  creation: JobCreation<Request>,
): OpenAPIHono {
  const app = createApp();
  app.route("/", jobCreationRoutes(services, kind, creation));
  app.route("/", jobActionRoutes(services, kind));
  app.route("/", checkpointRoutes(services, kind));
  app.route("/", jobMetricsRoutes(services, kind));
  app.route("/", jobReportRoutes(services, kind));
  return app;
}

/** `/v1/…/jobs/{id}/checkpoints` */
import { createRoute, type OpenAPIHono, z } from "../../../packages/zod_openapi.ts";
import { createApp } from "../app_base.ts";
import { errors } from "../error_responses.ts";
import { checkpointPages, toCheckpoint } from "../../protocol/checkpoint.ts";
import { pageFields, pageOf } from "../../protocol/page.ts";
import type { Services } from "../../services.ts";
import { findJob, type JobKindRoutes, jobParams } from "./job_kinds.ts";
import { answer } from "../answer.ts";

/** OpenAI's limits. */
const { after, limit } = pageFields({ fallback: 10, max: 100 });

export function checkpointRoutes(services: Services, of: JobKindRoutes): OpenAPIHono {
  const { kind, path, tag, operation } = of;
  const app = createApp();
  app.openapi(
    createRoute({
      method: "get",
      path: `${path}/jobs/{id}/checkpoints`,
      operationId: `list${operation}Checkpoints`,
      tags: [tag],
      summary: "List a job's checkpoints, newest first; each can be used as a model by name",
      request: { params: jobParams, query: z.object({ after, limit }) },
      responses: { ...answer("A page of checkpoints", checkpointPages[kind]), ...errors(404) },
    }),
    (context) => {
      const job = findJob(services, of, context.req.valid("param").id);
      const query = context.req.valid("query");
      const { data, hasMore } = services.store.checkpoints.list(job.id, query);
      const shown = data.map((checkpoint) => toCheckpoint(checkpoint, job));
      return context.json(pageOf(shown, hasMore) as never, 200);
    },
  );
  return app;
}

/** Routes for jobs of every kind: list, retrieve, cancel, pause, resume. */
import { createRoute, type OpenAPIHono, z } from "../../../packages/zod_openapi.ts";
import { diskFault } from "../../../files/disk_error.ts";
import { createApp } from "../app_base.ts";
import { errors } from "../error_responses.ts";
import { pageFields, pageOf } from "../../protocol/page.ts";
import type { Services } from "../../services.ts";
import { findJob, type JobKindRoutes, jobParams } from "./job_kinds.ts";
import { answer } from "../answer.ts";

const { after, limit } = pageFields();
const listQuery = z.object({
  after,
  limit,
  metadata: z.enum(["null", ""]).optional().openapi({
    type: "object",
    additionalProperties: { type: "string" },
    description: "Only jobs with these pairs, such as `metadata[project]=demo`; `metadata=null`: " +
      "only jobs without any",
    param: { style: "deepObject", explode: true },
  }),
});

const ACTIONS = {
  cancel: "Cancel the job; takes effect within a step",
  pause: "Save a checkpoint and pause the job; takes effect within a step",
  resume:
    "Put a paused or failed job back into the queue; it continues from its last checkpoint, " +
    "if it has one",
} as const;

export function jobActionRoutes(services: Services, of: JobKindRoutes): OpenAPIHono {
  const { store, jobs } = services;
  const { kind, path, tag, operation, schema, page, show } = of;
  const app = createApp();

  app.openapi(
    createRoute({
      method: "get",
      path: `${path}/jobs`,
      operationId: of.listOperation,
      tags: [tag],
      summary: "List jobs, newest first",
      request: { query: listQuery },
      responses: { ...answer("A page of jobs", page), ...errors(404) },
    }),
    (context) => {
      const { after, limit, metadata: none } = context.req.valid("query");
      const metadata = none === undefined ? metadataOf(context.req.query()) : null;
      const { data, hasMore } = store.jobs.list({ kind, after, limit, metadata });
      return context.json(pageOf(data.map((job) => show(job, services)), hasMore) as never, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: `${path}/jobs/{id}`,
      operationId: `retrieve${operation}`,
      tags: [tag],
      summary: "Retrieve a job",
      request: { params: jobParams },
      responses: { ...answer("The job", schema), ...errors(404) },
    }),
    (context) => {
      const job = findJob(services, of, context.req.valid("param").id);
      return context.json(show(job, services), 200);
    },
  );

  for (const [action, summary] of Object.entries(ACTIONS)) {
    app.openapi(
      createRoute({
        method: "post",
        path: `${path}/jobs/{id}/${action}`,
        operationId: `${action}${operation}`,
        tags: [tag],
        summary,
        request: { params: jobParams },
        responses: { ...answer("The job", schema), ...errors(404) },
      }),
      async (context) => {
        const { id } = findJob(services, of, context.req.valid("param").id);
        const job = jobs[action as keyof typeof ACTIONS](id);
        // It holds already, even if a power failure might undo it: what is refused must not happen.
        await store.sync().catch((error) => {
          if (!diskFault(error)) throw error;
        });
        return context.json(show(job, services), 200);
      },
    );
  }
  return app;
}

/** `metadata[key]=value`, as OpenAI's clients write it. */
function metadataOf(query: Readonly<Record<string, string>>): Record<string, string> {
  const pairs = Object.entries(query).flatMap(([name, value]) => {
    const key = /^metadata\[(.+)\]$/.exec(name)?.[1];
    return key === undefined ? [] : [[key, value] as const];
  });
  return Object.fromEntries(pairs);
}

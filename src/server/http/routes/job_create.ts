/** Routes that create jobs of any kind: one queues a job if it fits, one only plans it. */
import { createRoute, type OpenAPIHono, type z } from "../../../packages/zod_openapi.ts";
import { type Admission, planContext } from "../../admission/admission.ts";
import { assertFitsDisk, assertFitsMemory, largestBatches } from "../../admission/plan.ts";
import { throwIfEnded } from "../../api_error.ts";
import { assertBegins } from "../../admission/acceptable.ts";
import { fileOf } from "../../jobs/inputs.ts";
import { createApp } from "../app_base.ts";
import { errors } from "../error_responses.ts";
import { planSchema, toPlan } from "../../protocol/plan.ts";
import { FINAL_STATUSES, type JobRecord } from "../../store/records.ts";
import type { Services } from "../../services.ts";
import { answer } from "../answer.ts";
import type { JobKindRoutes } from "./job_kinds.ts";

export interface JobCreation<Request> {
  readonly summary: string;
  readonly description: string;
  readonly request: z.ZodType<Request>;
  readonly planRequest: z.ZodType<Request>;
  /** Checks everything except whether it fits. Faults are ApiErrors. */
  admit(services: Services, request: Request): Promise<Admission>;
}

export function jobCreationRoutes<Request>(
  services: Services,
  { path, tag, operation, schema, show }: JobKindRoutes,
  { summary, description, request, planRequest, admit }: JobCreation<Request>,
): OpenAPIHono {
  const app = createApp();
  app.openapi(
    createRoute({
      method: "post",
      path: `${path}/jobs`,
      operationId: `create${operation}`,
      tags: [tag],
      summary,
      description,
      request: jsonBody(request),
      responses: { ...answer("The job, queued", schema), ...errors(404) },
    }),
    async (context) => {
      const admission = await admit(services, context.req.valid("json") as Request);
      const job = await createJob(services, admission, context.req.raw.signal);
      return context.json(show(job, services), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "post",
      path: `${path}/plan`,
      operationId: `plan${operation}`,
      tags: [tag],
      summary: "Plan the memory and disk a job would need, without creating it",
      request: jsonBody(planRequest),
      responses: { ...answer("The plan", planSchema), ...errors(404) },
    }),
    async (context) => {
      const admission = await admit(services, context.req.valid("json") as Request);
      const { planned } = admission, { signal } = context.req.raw;
      const batches = await largestBatches(services, planned, signal);
      return context.json(toPlan(planned, { ...planContext(admission), batches }), 200);
    },
  );
  return app;
}

/**
 * Resolves when the job would survive a power failure. Throws an ApiError 400 if it does not fit, or
 * if its run would end before its first step.
 */
async function createJob(
  services: Services,
  admission: Admission,
  signal: AbortSignal,
): Promise<JobRecord> {
  const { job, planned } = admission;
  assertFitsMemory(planned);
  await assertFitsDisk(planned, services);
  const warnings = await assertBegins(admission, services);
  throwIfEnded(signal);
  // Reading them takes seconds, in which nothing keeps a client from deleting them.
  for (const id of [...job.trainingFiles, ...job.validationFiles]) fileOf(services.store, id);
  const created = services.jobs.create(job, warnings);
  try {
    await services.store.sync();
  } catch (error) {
    // Whoever is refused may ask again: one of the two must not run.
    const { status } = services.store.jobs.get(created.id)!;
    if (!FINAL_STATUSES.includes(status)) services.jobs.cancel(created.id);
    throw error;
  }
  return created;
}

const jsonBody = <Schema extends z.ZodType>(schema: Schema) => ({
  body: { required: true, content: { "application/json": { schema } } },
});

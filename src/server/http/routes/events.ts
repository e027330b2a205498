/** Events of jobs: in pages, and as a live stream. */
import { createRoute, type OpenAPIHono, z } from "../../../packages/zod_openapi.ts";
import type { Context } from "../../../packages/hono.ts";
import { ApiError } from "../../api_error.ts";
import { createApp } from "../app_base.ts";
import { errors } from "../error_responses.ts";
import { eventPageSchema, eventSchema, metricsItemSchema, toEvent } from "../../protocol/event.ts";
import { pageFields, pageOf } from "../../protocol/page.ts";
import { JOB_KINDS, type JobKind } from "../../store/records.ts";
import type { Services, StreamQuery } from "../../services.ts";
import { EVENT_ID, eventSeq } from "../../store/events.ts";
import { findJob, jobParams } from "./job_kinds.ts";

type EventServices = Pick<Services, "options" | "store" | "streams">;

/** Seconds after which a refused client may retry. */
const RETRY_AFTER = 5;

const EVENT_STREAM = "text/event-stream";

const { limit } = pageFields();

const eventId = z.string().regex(EVENT_ID, {
  error: ({ input }) => `must be the id of an event, such as 12 or ftevent-12, got ${input}`,
});

const after = eventId.optional().openapi({
  description: "Id of the last event received, or of the previous page's last",
  example: "ftevent-12",
});

const resumeFields = {
  last_event_id: eventId.optional().openapi({
    description: "Like the header of that name, for clients that cannot set headers",
    example: "12",
  }),
};

const resumeHeaders = z.object({
  "last-event-id": eventId.optional().openapi({
    description: "The last event received: the stream continues after it",
    example: "12",
  }),
});

/** For the description of a job's streams. */
const OVER = {
  204: { description: "The job has ended and `Last-Event-ID` is its last event: do not reconnect" },
};

const streamOf = (item: z.ZodType) => ({
  [EVENT_STREAM]: { schema: z.string(), "x-itemSchema": item },
});

/** In names of operations. */
const NAMES: Readonly<Record<JobKind, string>> = {
  fine_tuning: "FineTuning",
  pretraining: "Pretraining",
};

function eventsRoute(kind: JobKind) {
  return createRoute({
    method: "get",
    path: `/v1/${kind}/jobs/{id}/events`,
    operationId: `list${NAMES[kind]}Events`,
    tags: ["Jobs"],
    summary: "List a job's events, newest first; as a stream, from the first on",
    request: {
      params: jobParams,
      query: z.object({
        after,
        limit,
        stream: z.enum(["true", "false"]).optional().openapi({
          description: "Send server-sent events, ending with `data: [DONE]` after the job's last",
        }),
        ...resumeFields,
      }),
      headers: resumeHeaders,
    },
    responses: {
      200: {
        description: "Events",
        content: { "application/json": { schema: eventPageSchema }, ...streamOf(eventSchema) },
      },
      ...OVER,
      ...errors(404),
    },
  });
}

function metricsStreamRoute(kind: JobKind) {
  return createRoute({
    method: "get",
    path: `/v1/${kind}/jobs/{id}/metrics/stream`,
    operationId: `stream${NAMES[kind]}JobMetrics`,
    tags: ["Metrics"],
    summary: "Stream the job's metrics as they arrive, and `event: status` when it changes",
    request: {
      params: jobParams,
      query: z.object({ after, ...resumeFields }),
      headers: resumeHeaders,
    },
    responses: {
      200: { description: "Server-sent events", content: streamOf(metricsItemSchema) },
      ...OVER,
      ...errors(404),
    },
  });
}

const allStreamRoute = createRoute({
  method: "get",
  path: "/metrics/stream",
  operationId: "streamEvents",
  tags: ["Metrics"],
  summary: "Stream the events of all jobs as they arrive",
  request: {
    query: z.object({ after, ...resumeFields }),
    headers: resumeHeaders,
  },
  responses: { 200: { description: "Server-sent events", content: streamOf(eventSchema) } },
});

export function eventRoutes(services: EventServices): OpenAPIHono {
  const app = createApp();
  for (const kind of JOB_KINDS) addJobRoutes(app, services, kind);
  app.openapi(allStreamRoute, (context) => {
    const after = placeOf({ ...context.req.valid("header"), ...context.req.valid("query") });
    return stream(context, services, { content: "events", after });
  });
  return app;
}

function addJobRoutes(app: OpenAPIHono, services: EventServices, kind: JobKind): void {
  const { events } = services.store, of = { kind, what: "job" };
  app.openapi(eventsRoute(kind), (context) => {
    const { id } = context.req.valid("param"), query = context.req.valid("query");
    findJob(services, of, id);
    if (query.stream === "true") {
      const after = placeOf({ ...context.req.valid("header"), ...query });
      return stream(context, services, { jobId: id, content: "events", after });
    }
    const { data, hasMore } = events.list(id, query);
    return context.json(pageOf(data.map(toEvent), hasMore), 200);
  });
  app.openapi(metricsStreamRoute(kind), (context) => {
    const { id } = context.req.valid("param");
    findJob(services, of, id);
    const after = placeOf({ ...context.req.valid("header"), ...context.req.valid("query") });
    return stream(context, services, { jobId: id, content: "metrics", after });
  });
}

/** The position to resume from: the client's Last-Event-ID, or else the `after` in its URL. */
function placeOf(
  given: {
    readonly "last-event-id"?: string;
    readonly last_event_id?: string;
    readonly after?: string;
  },
): number | undefined {
  const id = given["last-event-id"] ?? given.last_event_id ?? given.after;
  return id === undefined ? undefined : eventSeq(id);
}

function stream(context: Context, { options, streams }: EventServices, query: StreamQuery) {
  // Only a 204 keeps an EventSource from reconnecting; an empty stream does not.
  if (streams.isOver(query)) return new Response(null, { status: 204 });
  if (streams.count >= options.maxStreams) {
    throw new ApiError(429, {
      message: `${streams.count} event streams are open, the server's max_streams`,
      type: "requests",
      code: "too_many_streams",
      headers: { "retry-after": String(RETRY_AFTER) },
    });
  }
  // A HEAD request reads no body and would leave a stream open forever.
  const body = context.req.method === "HEAD" ? null : streams.open(query);
  return new Response(body, {
    headers: {
      "content-type": EVENT_STREAM,
      // No caching, and no buffering for compression by a proxy or the server itself.
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    },
  });
}

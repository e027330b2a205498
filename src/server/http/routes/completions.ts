/** `POST /v1/completions`. */
import { createRoute, type OpenAPIHono, z } from "../../../packages/zod_openapi.ts";
import { createApp } from "../app_base.ts";
import { errors } from "../error_responses.ts";
import {
  completionRequestSchema,
  completionSchema,
  promptOf,
  toCompletion,
  toCompletionGeneration,
  toCompletionUsage,
} from "../../protocol/completion.ts";
import { toUsage } from "../../protocol/sampling.ts";
import { type GenerationServices, respond, type Shape } from "./generation.ts";

const route = createRoute({
  method: "post",
  path: "/v1/completions",
  operationId: "createCompletion",
  tags: ["Models"],
  summary: "Continue a text",
  request: {
    body: { required: true, content: { "application/json": { schema: completionRequestSchema } } },
  },
  responses: {
    200: {
      description: "The answer; with `stream: true` a stream of chunks, ending with `data: [DONE]`",
      content: {
        "application/json": { schema: completionSchema },
        "text/event-stream": { schema: z.string(), "x-itemSchema": completionSchema },
      },
    },
    ...errors(404, 503),
  },
});

export function completionRoutes(services: GenerationServices): OpenAPIHono {
  const app = createApp();
  app.openapi(route, async (context) => {
    const body = context.req.valid("json");
    return await respond(services, context, {
      generation: toCompletionGeneration(body),
      prefix: "cmpl",
      stream: body.stream === true,
      includeUsage: body.stream_options?.include_usage === true,
      shape: shapeOf(body.echo ? promptOf(body) : ""),
    });
  });
  return app;
}

/** @param echoed prefix of the answer */
function shapeOf(echoed: string): Shape {
  return {
    whole: (head, text, done) => ({
      ...toCompletion(head, echoed + text, done),
      usage: toUsage(done),
    }),
    first: (head) => echoed ? toCompletion(head, echoed) : undefined,
    piece: toCompletion,
    last: (head, done) => toCompletion(head, "", done),
    usage: toCompletionUsage,
  };
}

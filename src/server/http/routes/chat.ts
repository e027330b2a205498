/** `POST /v1/chat/completions`. */
import { createRoute, type OpenAPIHono, z } from "../../../packages/zod_openapi.ts";
import { createApp } from "../app_base.ts";
import { errors } from "../error_responses.ts";
import {
  chatChunkSchema,
  chatCompletionSchema,
  chatRequestSchema,
  toChatChunk,
  toChatCompletion,
  toChatGeneration,
  toChatUsageChunk,
} from "../../protocol/chat.ts";
import { type GenerationServices, respond, type Shape } from "./generation.ts";

const route = createRoute({
  method: "post",
  path: "/v1/chat/completions",
  operationId: "createChatCompletion",
  tags: ["Models"],
  summary: "Answer a conversation",
  request: {
    body: { required: true, content: { "application/json": { schema: chatRequestSchema } } },
  },
  responses: {
    200: {
      description: "The answer; with `stream: true` a stream of chunks, ending with `data: [DONE]`",
      content: {
        "application/json": { schema: chatCompletionSchema },
        "text/event-stream": { schema: z.string(), "x-itemSchema": chatChunkSchema },
      },
    },
    ...errors(404, 503),
  },
});

const SHAPE: Shape = {
  whole: toChatCompletion,
  first: (head) => toChatChunk(head, {}),
  piece: (head, text) => toChatChunk(head, { text }),
  last: (head, done) => toChatChunk(head, { done }),
  usage: toChatUsageChunk,
};

export function chatRoutes(services: GenerationServices): OpenAPIHono {
  const app = createApp();
  app.openapi(route, async (context) => {
    const body = context.req.valid("json");
    return await respond(services, context, {
      generation: toChatGeneration(body),
      prefix: "chatcmpl",
      stream: body.stream === true,
      includeUsage: body.stream_options?.include_usage === true,
      shape: SHAPE,
    });
  });
  return app;
}

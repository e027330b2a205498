/** `GET /health`: liveness check. Needs no key. */
import { createRoute, type OpenAPIHono, z } from "../../../packages/zod_openapi.ts";
import { createApp } from "../app_base.ts";

const healthSchema = z.object({ status: z.literal("ok") }).openapi("Health");

const route = createRoute({
  method: "get",
  path: "/health",
  operationId: "checkHealth",
  tags: ["Server"],
  summary: "Check that the server responds",
  responses: {
    200: {
      description: "It responds",
      content: { "application/json": { schema: healthSchema } },
    },
  },
});

export function healthRoutes(): OpenAPIHono {
  return createApp().openapi(route, (context) => context.json({ status: "ok" as const }, 200));
}

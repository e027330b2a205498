/** `GET /metrics`, for Prometheus. */
import { createRoute, type OpenAPIHono, z } from "../../../packages/zod_openapi.ts";
import { createApp } from "../app_base.ts";
import type { Services } from "../../services.ts";

const metricsRoute = createRoute({
  method: "get",
  path: "/metrics",
  operationId: "retrieveMetrics",
  tags: ["Metrics"],
  summary: "Metrics of the server and the running jobs, in Prometheus's text format",
  responses: {
    200: { description: "The metrics", content: { "text/plain": { schema: z.string() } } },
  },
});

export function metricsRoutes({ metrics }: Pick<Services, "metrics">): OpenAPIHono {
  const app = createApp();
  app.openapi(metricsRoute, async (context) => {
    const headers = { "content-type": metrics.contentType };
    return context.text(await metrics.text(), 200, headers);
  });
  return app;
}

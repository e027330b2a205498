/** Gives each request an id, shared by its response and the log, and optionally logs it. */
import { createMiddleware, routePath } from "../../../packages/hono.ts";
import { randomLetters } from "../../store/ids.ts";
import type { ServerLog } from "../../server_log.ts";
import { requestFields, type ServerEnv } from "./context.ts";

/** Logs the route's pattern, because the URL may contain what must not appear in logs. */
export function requestLog(log?: ServerLog) {
  return createMiddleware<ServerEnv>(async (context, next) => {
    const id = `req_${randomLetters(20)}`, start = performance.now();
    context.set("requestId", id);
    await next();
    context.header("x-request-id", id);
    const { method } = context.req;
    log?.info("request", {
      method: KNOWN.has(method) ? method : "?",
      route: routePath(context, -1),
      status: context.res.status,
      ms: Number((performance.now() - start).toFixed(1)),
      ...requestFields(context),
    });
  });
}

const KNOWN = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

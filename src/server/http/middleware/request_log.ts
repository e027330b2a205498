/** Gives each request an id, shared by its response and the log, and optionally logs it. */
import { createMiddleware } from "../../../packages/hono.ts";
import { routePath } from "../../../packages/hono.ts";
import { randomLetters } from "../../store/ids.ts";
import type { ServerEnv } from "./context.ts";

/**
 * `write` receives method, route, status, milliseconds and key. The route is its pattern, because
 * the URL may contain what must not appear in logs.
 */
export function requestLog(write?: (line: string) => void) {
  return createMiddleware<ServerEnv>(async (context, next) => {
    const id = `req_${randomLetters(20)}`, start = performance.now();
    context.set("requestId", id);
    await next();
    context.header("x-request-id", id);
    if (!write) return;
    const ms = (performance.now() - start).toFixed(1);
    const route = routePath(context, -1);
    const { method } = context.req, { status } = context.res;
    const key = context.get("key")?.id ?? "-";
    write(`${KNOWN.has(method) ? method : "?"} ${route} ${status} ${ms}ms ${key} ${id}`);
  });
}

const KNOWN = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** A request gets a name, which its answer and the log share; and a line in the log, if wanted. */
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import { randomLetters } from "../../store/ids.ts";
import type { ServerEnv } from "./context.ts";

/**
 * `write` is told method, route, status, milliseconds and key. The route is its pattern: what was
 * asked for may hold what nobody should read in a log.
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

/** Limits of concurrent requests and of requests per minute. */
import { createMiddleware } from "../../../packages/hono.ts";
import { ApiError } from "../../api_error.ts";
import { addressOf, type ServerEnv } from "./context.ts";
import { RateLimiter } from "./limiter.ts";

/** `perMinute` requests for each key, or each address without one; undefined: no limit. */
export function rateLimit(perMinute: number | undefined) {
  const limiter = perMinute === undefined ? undefined : new RateLimiter(perMinute);
  return createMiddleware<ServerEnv>(async (context, next) => {
    const wait = limiter?.count(context.get("key")?.id ?? addressOf(context));
    if (wait !== undefined) {
      throw tooMany(`more than ${perMinute} requests per minute, the server's rate_limit`, wait);
    }
    await next();
  });
}

/** Refuses requests while `most` are being answered; a stream counts only until it starts. */
export function concurrencyLimit(most: number) {
  let running = 0;
  return createMiddleware<ServerEnv>(async (_context, next) => {
    if (running >= most) {
      throw new ApiError(429, {
        message:
          `the server is already processing ${most} requests, its max_requests: try again in ` +
          "a moment",
        type: "requests",
        code: "too_many_requests",
        headers: { "retry-after": "1" },
      });
    }
    running++;
    try {
      await next();
    } finally {
      running--;
    }
  });
}

/** 429, with the time to wait. */
export function tooMany(what: string, waitMs: number): ApiError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new ApiError(429, {
    message: `${what}: try again in ${seconds} s`,
    type: "requests",
    code: "rate_limit_exceeded",
    headers: { "retry-after": String(seconds) },
  });
}

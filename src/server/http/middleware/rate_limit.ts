/** How many requests at a time, and how many a minute. */
import { createMiddleware } from "hono/factory";
import { RateLimiterMemory, type RateLimiterRes } from "rate-limiter-flexible";
import { ApiError } from "../../api_error.ts";
import { addressOf, type ServerEnv } from "./context.ts";

/** `perMinute` requests of a key, or of an address where there is none; no limit without a number. */
export function rateLimit(perMinute: number | undefined) {
  const limiter = perMinute === undefined
    ? undefined
    : new RateLimiterMemory({ points: perMinute, duration: 60 });
  return createMiddleware<ServerEnv>(async (context, next) => {
    await limiter?.consume(context.get("key")?.id ?? addressOf(context)).catch((limit) => {
      throw tooMany(`more than ${perMinute} requests a minute`, limit);
    });
    await next();
  });
}

/** Refuses what comes while `most` requests are being answered; a stream counts until it begins. */
export function concurrencyLimit(most: number) {
  let running = 0;
  return createMiddleware<ServerEnv>(async (_context, next) => {
    if (running >= most) {
      throw new ApiError(429, {
        message: `the server is answering ${most} requests already: try again in a moment`,
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

/** 429, with the time after which the limiter forgets. */
export function tooMany(what: string, limit: unknown): ApiError {
  // An Error would be a fault of the limiter's.
  if (limit instanceof Error) throw limit;
  const seconds = Math.max(1, Math.ceil((limit as RateLimiterRes).msBeforeNext / 1000));
  return new ApiError(429, {
    message: `${what}: try again in ${seconds} s`,
    type: "requests",
    code: "rate_limit_exceeded",
    headers: { "retry-after": String(seconds) },
  });
}

/** API keys, sent as `Authorization: Bearer …`. */
import { createMiddleware } from "../../../packages/hono.ts";
import { ApiError } from "../../api_error.ts";
import { addressOf, type ServerEnv } from "./context.ts";
import { RateLimiter } from "./limiter.ts";
import { tooMany } from "./rate_limit.ts";
import type { KeyRecord } from "../../store/records.ts";

/** Wrong keys per minute from an address, beyond which it gets 429. */
const MOST_FAILURES = 30;

export interface Keys {
  /** The key of this secret, if it is one and not revoked. */
  verify(secret: string): KeyRecord | undefined;
}

/**
 * Requires a key unless the server is `open` or the path is public. A valid key passes whatever
 * else comes from its address, which may be a proxy's or a whole office's: keys of 256 random bits
 * cannot be found by trying.
 */
export function authenticate(
  { keys, open, isPublic }: {
    readonly keys: Keys;
    readonly open: () => boolean;
    readonly isPublic: (path: string) => boolean;
  },
) {
  const failures = new RateLimiter(MOST_FAILURES);
  return createMiddleware<ServerEnv>(async (context, next) => {
    const secret = bearer(context.req.header("authorization"));
    if (!open() && !isPublic(context.req.path)) {
      // A missing key is verified like any other, so that both take the same time.
      const key = keys.verify(secret ?? "");
      if (!key) {
        const wait = failures.count(addressOf(context));
        if (wait !== undefined) throw tooMany("too many requests with a wrong API key", wait);
        throw unauthorized(
          secret === undefined
            ? "You didn't provide an API key. Send one as `Authorization: Bearer YOUR_KEY`."
            : "Incorrect API key provided. On the server, the command `key` lists the active ones.",
        );
      }
      context.set("key", key);
    }
    await next();
  });
}

function bearer(header: string | undefined): string | undefined {
  return header?.match(/^Bearer +(\S+) *$/i)?.[1];
}

/** 401, with the code that OpenAI gives it. */
export function unauthorized(message: string, headers: Record<string, string> = {}): ApiError {
  return new ApiError(401, {
    message,
    code: "invalid_api_key",
    headers: { "www-authenticate": "Bearer", ...headers },
  });
}

/** Security headers for all responses. */
import { createMiddleware } from "../../../packages/hono.ts";
import type { ServerEnv } from "./context.ts";

/** Only files from this server; no foreign sources, nothing inline. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** No Strict-Transport-Security: this is plain HTTP; TLS is up to a proxy in front of it. */
const HEADERS = Object.entries({
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
});

/** API responses are not cached either, unless their route allows it. */
export function securityHeaders() {
  return createMiddleware<ServerEnv>(async (context, next) => {
    await next();
    const { headers } = context.res;
    for (const [name, value] of HEADERS) {
      // A page of another kind has a policy of its own.
      if (!headers.has(name)) headers.set(name, value);
    }
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  });
}

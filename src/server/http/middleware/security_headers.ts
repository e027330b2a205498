/** What a browser is told not to do with any answer of this server. */
import { createMiddleware } from "hono/factory";
import type { ServerEnv } from "./context.ts";

/** Nothing comes from elsewhere and nothing stands in the page itself: files of this server only. */
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

/** No Strict-Transport-Security: this is plain HTTP, and TLS the business of a proxy before it. */
const HEADERS = Object.entries({
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
});

/** Answers of the API are not kept either, unless their route says otherwise. */
export function securityHeaders() {
  return createMiddleware<ServerEnv>(async (context, next) => {
    await next();
    const { headers } = context.res;
    for (const [name, value] of HEADERS) headers.set(name, value);
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  });
}

/**
 * A server without keys trusts every user of its machine, but not the web pages in their browsers:
 * a foreign page could send requests here (cross-site), or have its own name resolve to this server
 * (DNS rebinding). Browsers report the page's origin, and the host name that they used.
 *
 * @module
 */
import type { Context } from "../../../packages/hono.ts";
import { createMiddleware } from "../../../packages/hono.ts";
import { ApiError } from "../../api_error.ts";
import type { ServerOptions } from "../../options.ts";
import { addressOf, isLoopback, type ServerEnv, UNKNOWN_ADDRESS } from "./context.ts";

type Allowed = Pick<ServerOptions, "host" | "corsOrigin">;

/** `open` returns whether requests are answered without a key; if not, the key protects. */
export function sameOrigin({ host, corsOrigin = [] }: Allowed, open: () => boolean) {
  return createMiddleware<ServerEnv>(async (context, next) => {
    if (open()) {
      checkAddress(addressOf(context));
      const authority = context.req.header("host") ?? new URL(context.req.url).host;
      checkHost(authority, host);
      const origin = context.req.header("origin");
      if (origin === undefined) checkSite(context);
      else if (hostOf(origin) !== authority.toLowerCase() && !corsOrigin.includes(origin)) {
        throw new ApiError(403, {
          message:
            `requests from pages of ${origin} are refused: the server's cors_origin can allow them`,
          code: "origin_not_allowed",
        });
      }
    }
    await next();
  });
}

/** A program that mounts the server may listen on more addresses than `host`. */
function checkAddress(address: string): void {
  if (address === UNKNOWN_ADDRESS || isLoopback(address.replace(/^::ffff:/, ""))) return;
  throw new ApiError(403, {
    message: "without an API key this server answers only its own machine " +
      "(the command `key` creates one)",
    code: "address_not_allowed",
  });
}

function checkHost(authority: string, own: string): void {
  const name = authority.toLowerCase().replace(/:\d*$/, "");
  if (isLoopback(name) || name === own.toLowerCase() || name === `[${own.toLowerCase()}]`) return;
  throw new ApiError(403, {
    message: `this server is not ${authority}: without an API key it answers only to localhost, ` +
      `127.0.0.1 and [::1] (the command \`key\` creates one)`,
    code: "host_not_allowed",
  });
}

/** Browsers load images and scripts for foreign pages without an Origin; links may be followed. */
function checkSite({ req }: Context<ServerEnv>): void {
  const site = req.header("sec-fetch-site");
  if (site !== "cross-site" && site !== "same-site") return;
  if (req.method === "GET" && req.header("sec-fetch-mode") === "navigate") return;
  throw new ApiError(403, {
    message:
      "requests from pages of other sites are refused: the server's cors_origin can allow them",
    code: "origin_not_allowed",
  });
}

/** The scheme is ignored: behind a proxy a page is https but the server is not. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

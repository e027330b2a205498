/**
 * Lets an app be part of a larger one, under any path. Routes, public paths, limits and logs of the
 * app know nothing of that path; its pages refer to each other relatively.
 *
 * @module
 */
import { Hono } from "hono";
import { basePath } from "hono/route";
import type { ServerEnv } from "./middleware/context.ts";

/** For `site.route("/train", …)`, or to be served by itself. */
export function mountable(inner: Pick<Hono<ServerEnv>, "fetch">): Hono {
  const app = new Hono();
  app.all("*", (context) => {
    const { raw, url, path } = context.req;
    const env = context.env as ServerEnv["Bindings"] | undefined;
    const base = basePath(context);
    if (base === "/") return inner.fetch(raw, env);
    const below = new URL(url);
    // What relative references are relative to ends with a slash.
    if (path === base) {
      const location = `${below.pathname.split("/").at(-1)}/${below.search}`;
      return new Response(null, { status: 308, headers: { location } });
    }
    const depth = base.split("/").length;
    below.pathname = `/${below.pathname.split("/").slice(depth).join("/")}`;
    return inner.fetch(new Request(below, raw), env);
  });
  return app;
}

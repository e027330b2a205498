/**
 * Lets an app be part of a larger one, under any path. The app's routes, public paths, limits and
 * logs are independent of that path; its pages use relative references.
 *
 * @module
 */
import { Hono } from "../../packages/hono.ts";
import { basePath } from "../../packages/hono.ts";
import type { ServerEnv } from "./middleware/context.ts";

/** For `site.route("/train", …)`, or to be served directly. */
export function mountable(inner: Pick<Hono<ServerEnv>, "fetch">): Hono {
  const app = new Hono();
  app.all("*", (context) => {
    const { raw, url, path } = context.req;
    const env = context.env as ServerEnv["Bindings"] | undefined;
    const base = basePath(context);
    if (base === "/") return inner.fetch(raw, env);
    const below = new URL(url);
    // The base of relative references must end with a slash.
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

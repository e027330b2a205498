/**
 * `GET /openapi.json`, and `GET /docs` for people. Both are the same for everyone; they are generated
 * once for a server without keys, and once for one that has some.
 */
import type { OpenAPIHono } from "../../../packages/zod_openapi.ts";
import { createApp } from "../app_base.ts";
import style from "../docs/style.css" with { type: "text" };
import { docsPage } from "../docs/page.ts";
import type { OpenApiDocument } from "../openapi_types.ts";
import { type ApiAccess, openApiDocument } from "../openapi.ts";

/** Describes all routes mounted on `app` before the first request. */
export function docsRoutes(app: OpenAPIHono, access: ApiAccess): OpenAPIHono {
  const made = new Map<string, string>();
  const once = (what: string, make: (document: OpenApiDocument) => string) => {
    const key = `${what} ${access.open()}`;
    const text = made.get(key) ?? make(openApiDocument(app, access));
    made.set(key, text);
    return text;
  };
  const routes = createApp();
  routes.get("/openapi.json", () => answer(once("json", JSON.stringify), "application/json"));
  routes.get(
    "/docs",
    () => answer(once("page", (it) => docsPage(it).toString()), "text/html; charset=utf-8"),
  );
  routes.get("/docs/style.css", () => answer(style, "text/css; charset=utf-8"));
  return routes;
}

function answer(body: string, type: string): Response {
  return new Response(body, { headers: { "content-type": type, "cache-control": "no-cache" } });
}

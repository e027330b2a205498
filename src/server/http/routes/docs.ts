/**
 * `GET /openapi.json`, and `GET /docs` for people. Both are the same for everyone and generated
 * once.
 */
import type { OpenAPIHono } from "../../../packages/zod_openapi.ts";
import { createApp } from "../app_base.ts";
import style from "../docs/style.css" with { type: "text" };
import { docsPage } from "../docs/page.ts";
import { openApiDocument } from "../openapi.ts";

/** Describes all routes mounted on `app` before the first request. */
export function docsRoutes(
  app: OpenAPIHono,
  isPublic: (path: string) => boolean,
): OpenAPIHono {
  const document = once(() => openApiDocument(app, isPublic));
  const json = once(() => JSON.stringify(document()));
  const page = once(() => docsPage(document()).toString());
  const routes = createApp();
  routes.get("/openapi.json", () => answer(json(), "application/json"));
  routes.get("/docs", () => answer(page(), "text/html; charset=utf-8"));
  routes.get("/docs/style.css", () => answer(style, "text/css; charset=utf-8"));
  return routes;
}

function answer(body: string, type: string): Response {
  return new Response(body, { headers: { "content-type": type, "cache-control": "no-cache" } });
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => made ??= make();
}

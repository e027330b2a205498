/**
 * The dashboard: one page, its style sheet and its modules, from a fixed list of names. They are
 * imported as text, so that nothing is read from disk and no request ever names a file.
 *
 * @module
 */
import type { OpenAPIHono } from "../../../packages/zod_openapi.ts";
import { createHash } from "node:crypto";
import { createApp } from "../app_base.ts";
import { notFound } from "../../api_error.ts";
import { type AssetName, ASSETS, PAGE } from "../../dashboard/assets.ts";

const CONTENT_TYPES = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
} as const;

interface Served {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * `GET /` and `GET /assets/{name}`. Needs no key: the page contains no data; it queries the API.
 */
export function dashboardRoutes(): OpenAPIHono {
  const app = createApp();
  const page = served("index.html", PAGE);
  const assets = new Map(
    (Object.keys(ASSETS) as AssetName[]).map((
      name,
    ) => [name as string, served(name, ASSETS[name])]),
  );
  app.get("/", (context) => answer(context.req.raw, page));
  app.get("/assets/:name", (context) => {
    const name = context.req.param("name");
    const asset = assets.get(name);
    if (!asset) throw notFound("asset", name, "name");
    return answer(context.req.raw, asset);
  });
  return app;
}

function served(name: string, body: string): Served {
  const extension = name.slice(name.lastIndexOf(".") + 1) as keyof typeof CONTENT_TYPES;
  return {
    body,
    headers: {
      "Content-Type": CONTENT_TYPES[extension],
      // Revalidated each time and answered with 304, so that versions never mix after an update.
      "Cache-Control": "no-cache",
      "ETag": `"${createHash("sha256").update(body).digest("base64url").slice(0, 27)}"`,
    },
  };
}

function answer(request: Request, { body, headers }: Served): Response {
  // Weak comparison (RFC 9110, 13.1.2): an intermediary may have compressed the body.
  const known = request.headers.get("If-None-Match")?.split(",").map((tag) =>
    tag.trim().replace(/^W\//, "")
  );
  const unchanged = known?.some((tag) => tag === headers["ETag"] || tag === "*");
  if (unchanged) return new Response(null, { status: 304, headers });
  return new Response(body, { headers });
}

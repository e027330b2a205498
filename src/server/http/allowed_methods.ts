/** The methods of a path, to distinguish a wrong method (405) from an unknown path (404). */
import type { Hono } from "../../packages/hono.ts";
import { TrieRouter } from "../../packages/hono.ts";
import type { ServerEnv } from "./middleware/context.ts";

export function allowedMethods(app: Pick<Hono<ServerEnv>, "routes">): (path: string) => string[] {
  const router = new TrieRouter<string>();
  const methods = new Set<string>();
  for (const { method, path } of app.routes) {
    // Middleware, which matches every path.
    if (method === "ALL") continue;
    router.add(method, path, method);
    methods.add(method);
  }
  return (path) => {
    const allowed = [...methods].filter((method) => router.match(method, path)[0].length > 0);
    return allowed.includes("GET") ? ["HEAD", ...allowed].sort() : allowed.sort();
  };
}

export * from "npm:hono@^4.13.0";
export { cors } from "npm:hono@^4.13.0/cors";
export { createMiddleware } from "npm:hono@^4.13.0/factory";
export { html } from "npm:hono@^4.13.0/html";
export { HTTPException } from "npm:hono@^4.13.0/http-exception";
export { basePath, routePath } from "npm:hono@^4.13.0/route";
export { TrieRouter } from "npm:hono@^4.13.0/router/trie-router";
export type { ContentfulStatusCode } from "npm:hono@^4.13.0/utils/http-status";

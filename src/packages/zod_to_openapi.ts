// What `.openapi(…)` of zod_openapi.ts, which brings this package, records about a schema.
export { zodToOpenAPIRegistry } from "npm:@asteasolutions/zod-to-openapi@^9.0.0";

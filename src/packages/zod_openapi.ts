export * from "npm:@hono/zod-openapi@^1.6.0";

/** Common response descriptions. */
import type { z } from "../../packages/zod.ts";

/** 200 with JSON, for a route's description. */
export const answer = <Schema extends z.ZodType>(description: string, schema: Schema) => ({
  200: { description, content: { "application/json": { schema } } },
});

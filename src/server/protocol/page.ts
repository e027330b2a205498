/** Pagination as in OpenAI's API: `limit` items after an id, newest or oldest first. */
import { z } from "../../packages/zod_openapi.ts";

export interface PageLimits {
  /** Default number of items per page. */
  readonly fallback: number;
  readonly max: number;
}

export const PAGE_LIMITS: PageLimits = { fallback: 20, max: 100 };

/** Fields of a query, to combine with others: `z.object({ ...pageFields(), purpose })`. */
export function pageFields({ fallback, max }: PageLimits = PAGE_LIMITS) {
  return {
    after: z.string().min(1).max(100).optional().openapi({
      description: "Id of the previous page's last item",
    }),
    limit: z.coerce.number().int().min(1).max(max).default(fallback).openapi({
      description: "Items per page",
      example: fallback,
    }),
    order: z.enum(["asc", "desc"]).default("desc").openapi({
      description: "By creation time: oldest or newest first",
    }),
  };
}

export const pageQuery = z.object(pageFields());

/**
 * The schema of a page, to be named in the OpenAPI document:
 * `pageSchema(jobSchema).openapi("JobPage")`.
 */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({
    object: z.literal("list"),
    data: z.array(item),
    has_more: z.boolean(),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
  });
}

/** The response; `hasMore` if items follow the last of these. */
export function pageOf<Item extends { readonly id: string }>(data: Item[], hasMore: boolean) {
  return {
    object: "list" as const,
    data,
    has_more: hasMore,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  };
}

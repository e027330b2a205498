/** Files as OpenAI's API shows them. */
import { z } from "../../packages/zod_openapi.ts";
import { ENDINGS, PURPOSES } from "../store/file_kinds.ts";
import type { FileRecord } from "../store/records.ts";
import { pageFields, pageSchema } from "./page.ts";

export const fileSchema = z.object({
  id: z.string().openapi({ example: "file-AbCdEfGhIjKlMnOpQrStUvWx" }),
  object: z.literal("file"),
  bytes: z.number().int(),
  created_at: z.number().int().openapi({ description: "Unix seconds" }),
  expires_at: z.number().int().optional().openapi({ description: "Unix seconds" }),
  filename: z.string(),
  purpose: z.string(),
  status: z.literal("processed"),
  status_details: z.null(),
}).openapi("File");

export const filePageSchema = pageSchema(fileSchema).openapi("FilePage");

export const deletedFileSchema = z.object({
  id: z.string(),
  object: z.literal("file"),
  deleted: z.literal(true),
}).openapi("DeletedFile");

export const fileQuery = z.object({
  ...pageFields({ fallback: 10_000, max: 10_000 }),
  purpose: z.string().min(1).optional().openapi({ description: "Only files with this purpose" }),
});

/** How long a file may be kept: an hour to thirty days, as in OpenAI's API. */
export const EXPIRY = { min: 3600, max: 2_592_000 } as const;

/**
 * For the OpenAPI document only. Not a zod schema, because its validator would read the whole body
 * into memory before the route runs.
 */
export const uploadSchema = {
  type: "object" as const,
  required: ["file", "purpose"],
  properties: {
    file: {
      type: "string" as const,
      format: "binary",
      description: PURPOSES.map((each) => `${each}: ${ENDINGS[each].join(", ")}`).join("; ") +
        "; without an ending its content is judged",
    },
    purpose: { type: "string" as const, enum: [...PURPOSES] },
    "expires_after[anchor]": { type: "string" as const, enum: ["created_at"] },
    "expires_after[seconds]": {
      type: "integer" as const,
      minimum: EXPIRY.min,
      maximum: EXPIRY.max,
    },
  },
};

export function toFile(record: FileRecord): z.output<typeof fileSchema> {
  return {
    id: record.id,
    object: "file",
    bytes: record.bytes,
    created_at: record.createdAt,
    expires_at: record.expiresAt,
    filename: record.filename,
    purpose: record.purpose,
    status: "processed",
    status_details: null,
  };
}

/** Models as OpenAI's API shows them. */
import { z } from "../../packages/zod_openapi.ts";
import type { ModelRecord } from "../services.ts";

export const modelSchema = z.object({
  id: z.string().openapi({ example: "ft:llama3:mine:AbCdEfGh" }),
  object: z.literal("model"),
  created: z.number().int().openapi({ description: "Unix seconds" }),
  owned_by: z.enum(["models-folder", "job"]).openapi({
    description: "Its origin: the models folder, or a job of this server",
  }),
}).openapi("Model");

export const modelListSchema = z.object({
  object: z.literal("list"),
  data: z.array(modelSchema),
}).openapi("ModelList");

export const deletedModelSchema = z.object({
  id: z.string(),
  object: z.literal("model"),
  deleted: z.literal(true),
}).openapi("DeletedModel");

export function toModel({ name, createdAt, kind }: ModelRecord): z.output<typeof modelSchema> {
  return {
    id: name,
    object: "model",
    created: createdAt,
    owned_by: kind === "base" ? "models-folder" : "job",
  };
}

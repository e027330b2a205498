/** The OpenAPI document of the whole API, from the descriptions of its routes. */
import type { OpenAPIHono } from "../../packages/zod_openapi.ts";
import { z } from "../../packages/zod.ts";
import { PRODUCT, VERSION } from "../../product.ts";

/** The part of the document that is read here. */
export interface OpenApiDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas?: Readonly<Record<string, Schema>> };
}

export interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Content };
  readonly responses: Record<string, Answer>;
  readonly security?: readonly unknown[];
}

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: Schema;
}

export interface Answer {
  readonly description?: string;
  readonly content?: Content;
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>;

/** JSON Schema, as far as zod writes it. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
}

const DESCRIPTION =
  "Trains and serves language models on this machine's GPU. The protocol is OpenAI's: its official " +
  "clients work unchanged, with this server's address plus /v1 as the base URL. Extensions to it are " +
  "marked as such. Times are Unix seconds.";

const errorSchema = z.object({
  error: z.object({
    message: z.string().describe("What is wrong, the value, and what would be right"),
    type: z.string().describe("`invalid_request_error` in most cases"),
    param: z.string().nullable().describe("The request field at fault"),
    code: z.string().nullable().describe("For programs, such as `model_not_found`"),
  }),
});

const METHODS = ["get", "post", "put", "patch", "delete"];

/** OpenAPI 3.1 of all routes mounted on the app. */
export function openApiDocument(
  app: OpenAPIHono,
  isPublic: (path: string) => boolean,
): OpenApiDocument {
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "An API key of `cli.ts key`. Not needed while the server has none.",
  });
  app.openAPIRegistry.register("Error", errorSchema);
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: PRODUCT, version: VERSION, description: DESCRIPTION },
    // Relative to the document, so that it is correct wherever the server is mounted.
    servers: [{ url: "." }],
    security: [{ bearer: [] }],
  }) as unknown as OpenApiDocument;
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = operations[method];
      if (!operation) continue;
      operation.responses.default ??= {
        description: "What went wrong",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      };
      if (isPublic(path)) Object.assign(operation, { security: [] });
    }
  }
  return document;
}

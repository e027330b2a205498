/**
 * JSON Schema (draft 2020-12, that of OpenAPI 3.1) of the API's zod schemas, as zod writes it, with
 * what `.openapi(…)` says of them. The writer of zod-to-openapi is not used: it forbids null where a
 * named schema is nullable, in one of several ways, depending on which use of it comes first.
 *
 * @module
 */
import { z } from "../../packages/zod.ts";
import { zodToOpenAPIRegistry } from "../../packages/zod_to_openapi.ts";
import type { Schema } from "./openapi_types.ts";

/** `input`: what a request may contain; `output`: what an answer contains. */
export type Direction = "input" | "output";

type Metadata = Readonly<Record<string, unknown>>;

/** Converts schemas; named ones become components and references to them. */
export class Components {
  readonly schemas: Record<string, Schema> = {};

  schemaOf(schema: z.core.$ZodType, io: Direction): Schema {
    const { $schema: _, $defs = {}, ...root } = z.toJSONSchema(schema, {
      io,
      // Such as a transformed value: described by its metadata.
      unrepresentable: "any",
      metadata: NAMES,
      override: ({ zodSchema, jsonSchema }) => describe(zodSchema, jsonSchema, io),
    });
    for (const [name, defined] of Object.entries($defs)) this.#define(name, defined);
    const name = nameOf(schema);
    return name === undefined || "$ref" in root ? linked(root) : this.#define(name, root);
  }

  #define(name: string, json: object): Schema {
    const { id: _, ...schema } = linked(json) as Schema & { id?: string };
    const known = this.schemas[name];
    if (known && JSON.stringify(known) !== JSON.stringify(schema)) {
      throw new Error(`two schemas of the API are named ${name}`);
    }
    this.schemas[name] = schema;
    return { $ref: `#/components/schemas/${name}` };
  }
}

/**
 * With references to components instead of zod's `$defs`. A fixed value among alternatives is an
 * `enum` of one: openapi-python-client refuses all others for a `const`.
 */
function linked(json: object): Schema {
  return JSON.parse(
    JSON.stringify(json).replaceAll('"#/$defs/', '"#/components/schemas/'),
    (key, value) => key === "anyOf" ? value.map(asEnum) : value,
  );
}

function asEnum({ const: only, ...rest }: Schema): Schema {
  return only === undefined ? rest : { ...rest, enum: [only] };
}

/** Zod extracts the schemas that have an id. */
const NAMES = {
  get: (schema: z.core.$ZodType) => {
    const id = nameOf(schema);
    return id === undefined ? undefined : { id };
  },
} as unknown as z.core.$ZodRegistry<Record<string, unknown>>;

/** A nullable or optional schema inherits the name of what it wraps, which is another schema. */
function nameOf(schema: z.core.$ZodType): string | undefined {
  return wrapped(schema) ? undefined : stored(schema)._internal?.refId;
}

function wrapped(schema: z.core.$ZodType): z.core.$ZodType | undefined {
  return (schema._zod.def as { innerType?: z.core.$ZodType }).innerType;
}

function stored(schema: z.core.$ZodType) {
  return (zodToOpenAPIRegistry.get(schema as never) ?? {}) as Metadata & {
    readonly _internal?: { readonly refId?: string };
  };
}

/** What `.openapi` and `.describe` say of this schema itself, not of what it wraps. */
function metadataOf(schema: z.core.$ZodType): Metadata {
  const { _internal: _, param: _param, ...own } = stored(schema);
  const all: Metadata = { ...z.globalRegistry.get(schema), ...own };
  const inner = wrapped(schema);
  const inherited = inner ? metadataOf(inner) : {};
  return Object.fromEntries(
    Object.entries(all).filter(([key, value]) => inherited[key] !== value),
  );
}

function describe(schema: z.core.$ZodTypes, json: z.core.JSONSchema.BaseSchema, io: Direction) {
  const { example, ...metadata } = metadataOf(schema);
  // Metadata with a type describes the whole value.
  if ("type" in metadata || "anyOf" in metadata) {
    for (const key of Object.keys(json)) delete json[key];
  }
  Object.assign(json, metadata, example === undefined ? undefined : { examples: [example] });
  // Answers may gain fields, which clients must accept.
  const { def } = schema._zod;
  if (io === "output" && def.type === "object" && !def.catchall) delete json.additionalProperties;
}

/** `style` and `explode` of a parameter. */
export function serializationOf(schema: z.core.$ZodType): Metadata {
  return stored(schema).param as Metadata | undefined ?? {};
}

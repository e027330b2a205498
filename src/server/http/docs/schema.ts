/** JSON Schema as HTML: types with links to named ones, fields as a table. */
import { html } from "../../../packages/hono.ts";
import type { Schema } from "../openapi_types.ts";

/** Renders text between backticks as code. */
export function prose(text: string): Html {
  return html`${
    text.split(/`([^`]+)`/).map((part, place) => place % 2 ? html`<code>${part}</code>` : part)
  }`;
}

/** Nesting depth of fields in a table, beyond which a type is just "object". */
const MOST_NESTED = 4;

type Html = ReturnType<typeof html>;

interface Field {
  readonly name: string;
  readonly required: boolean;
  readonly schema: Schema;
  readonly description?: string;
  /** Location of a parameter: `path`, `query`. */
  readonly place?: string;
}

/** One row per field; the fields of a nested object follow it, prefixed with its name. */
export function fieldTable(fields: readonly Field[]): Html {
  return html`
    <div class="table">
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Type</th>
            <th scope="col">What it is</th>
          </tr>
        </thead>
        <tbody>${fields.flatMap((field) => rows(field, 0))}</tbody>
      </table>
    </div>
  `;
}

function rows(field: Field, depth: number): Html[] {
  const { name, required, schema, description, place } = field;
  const row = html`
    <tr>
      <td><code>${name}</code>${required
        ? html`
          <small>required</small>
        `
        : ""}</td>
      <td>${schemaType(schema)}${place
        ? html`
          <small>in ${place}</small>
        `
        : ""}</td>
      <td>${prose(description ?? "")}${notes(schema)}</td>
    </tr>
  `;
  const inner = innerObject(schema);
  if (!inner || depth >= MOST_NESTED) return [row];
  const { schema: { properties = {}, required: needed = [] }, list } = inner;
  return [
    row,
    ...Object.entries(properties).flatMap(([child, childSchema]) =>
      rows({
        name: `${name}${list ? "[]" : ""}.${child}`,
        required: needed.includes(child),
        schema: childSchema,
        description: childSchema.description,
      }, depth + 1)
    ),
  ];
}

/** The object type of a field or of its items; undefined if the type is named. */
function innerObject(
  schema: Schema,
): { readonly schema: Schema; readonly list: boolean } | undefined {
  if (schema.properties) return { schema, list: false };
  if (schema.items?.properties) return { schema: schema.items, list: true };
  const objects = alternatives(schema).filter(({ properties }) => properties);
  return objects.length === 1 ? { schema: objects[0], list: false } : undefined;
}

const alternatives = ({ anyOf, oneOf }: Schema) => anyOf ?? oneOf ?? [];

export function schemaType(schema: Schema): Html | string {
  const { $ref, type, items, allOf, additionalProperties } = schema;
  if ($ref) {
    const name = $ref.split("/").at(-1)!;
    return html`<a href="#schema-${name}">${name}</a>`;
  }
  if (schema.const !== undefined) return html`<code>${JSON.stringify(schema.const)}</code>`;
  if (schema.enum) {
    return joined(schema.enum.map((value) => html`<code>${JSON.stringify(value)}</code>`), " | ");
  }
  const parts = [...alternatives(schema), ...allOf ?? []];
  if (parts.length) return joined(parts.map(schemaType), " | ");
  if (type === "array") return html`list of ${schemaType(items ?? {})}`;
  if (type === "object" && typeof additionalProperties === "object" && !schema.properties) {
    return html`object of ${schemaType(additionalProperties)}`;
  }
  return [type ?? "anything"].flat().join(" | ");
}

function joined(parts: readonly (Html | string)[], between: Html | string): Html {
  return html`${parts.flatMap((part, place) => place ? [between, part] : [part])}`;
}

/** Default and bounds. */
function notes(schema: Schema): Html | string {
  const given = alternatives(schema).filter(({ type }) => type !== "null");
  // The bounds of a nullable value are those of its only other type.
  const bounded = given.length === 1 ? given[0] : schema;
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, minLength, maxLength } = bounded;
  const usual = schema.default ?? schema["x-default"];
  const limits = [
    usual !== undefined && `default ${JSON.stringify(usual)}`,
    minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER && `at least ${minimum}`,
    exclusiveMinimum !== undefined && `more than ${exclusiveMinimum}`,
    maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER && `at most ${maximum}`,
    exclusiveMaximum !== undefined && `less than ${exclusiveMaximum}`,
    minLength !== undefined && minLength > 1 && `at least ${minLength} characters`,
    maxLength !== undefined && `at most ${maxLength} characters`,
  ].filter((note) => note !== false);
  return limits.length
    ? html`
      <small>(${limits.join(", ")})</small>
    `
    : "";
}

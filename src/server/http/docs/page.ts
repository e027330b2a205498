/** The API's documentation as a page of plain HTML, without scripts. */
import { html } from "../../../packages/hono.ts";
import type { Answer, OpenApiDocument, Operation, Schema } from "../openapi_types.ts";
import { fieldTable, prose, schemaType } from "./schema.ts";

type Documented = Pick<OpenApiDocument, "info" | "paths" | "components">;

interface Endpoint {
  readonly method: string;
  readonly path: string;
  readonly anchor: string;
  readonly operation: Operation;
}

export function docsPage({ info, paths, components }: Documented) {
  const endpoints = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]): Endpoint => ({
      method: method.toUpperCase(),
      path,
      anchor: `${method}${path.replace(/[^\w]+/g, "-")}`,
      operation,
    }))
  );
  const groups = Map.groupBy(endpoints, ({ operation }) => operation.tags?.[0] ?? "Other");
  const schemas = Object.entries(components.schemas ?? {});
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${info.title}: API</title>
        <link rel="icon" href="data:,">
        <link rel="stylesheet" href="docs/style.css">
      </head>
      <body>
        <header>
          <h1>${info.title}: API</h1>
          <p>${info.description}</p>
          <p class="muted">Version ${info.version}. Also as <a href="openapi.json">OpenAPI 3.1</a>.
        <a href=".">Dashboard</a></p>
        </header>
        <nav aria-label="Contents">${[...groups].map(([name, members]) => contents(name, members))}
        <h4><a href="#errors">Errors</a></h4>
        <h4><a href="#schemas">Schemas</a></h4></nav>
        <main>
        ${[...groups].map(([name, members]) => html`<h2>${name}</h2>${members.map(endpoint)}`)}
        ${errorList(components.responses ?? {})}
        <h2 id="schemas">Schemas</h2>
        ${schemas.map(([name, schema]) => component(name, schema))}
            </main>
      </body>
    </html>
  `;
}

function contents(name: string, endpoints: readonly Endpoint[]) {
  return html`
    <h4>${name}</h4>
    <ul>${endpoints.map(({ anchor, method, path, operation }) =>
      html`<li><a href="#${anchor}"><span class="method">${method}</span>${path}</a>
<small>${prose(operation.summary ?? "")}</small></li>`
    )}</ul>
  `;
}

function endpoint({ anchor, method, path, operation }: Endpoint) {
  const { summary, description, parameters, requestBody, responses, security } = operation;
  return html`<section aria-labelledby="${anchor}">
<h3 id="${anchor}"><span class="method">${method}</span><code>${path}</code></h3>
${summary ? html`<p>${prose(summary)}</p>` : ""}
${description ? html`<p>${prose(description)}</p>` : ""}
${security?.length === 0 ? html`<p class="muted">No API key required.</p>` : ""}
${parameters?.length ? html`<h4>Parameters</h4>${fieldTable(parameters.map(parameterField))}` : ""}
${
    Object.entries(requestBody?.content ?? {}).map(([type, { schema = {} }]) =>
      html`<h4>Request body <small>${type}</small></h4>${shape(schema)}`
    )
  }
<h4>Answers</h4>
<ul>${
    Object.entries(responses).flatMap(([status, each]) =>
      "$ref" in each ? [] : [html`<li><code>${status}</code> ${answer(each)}</li>`]
    )
  }<li>${errorCodes(responses)}<a href="#errors">errors</a></li></ul>
</section>`;
}

function errorCodes(responses: Operation["responses"]) {
  return Object.entries(responses).flatMap(([status, each]) =>
    "$ref" in each && status !== "default"
      ? [html`
        <code>${status}</code>
      `]
      : []
  );
}

function answer({ description = "", content = {} }: Answer) {
  return html`${description}${
    Object.entries(content).map(([type, { schema }]) =>
      html`
        <small>${type}</small> ${schema ? schemaType(schema) : ""}
      `
    )
  }`;
}

/** The errors that operations refer to. */
function errorList(responses: Readonly<Record<string, Answer>>) {
  return html`<h2 id="errors">Errors</h2>
<ul>${
    Object.entries(responses).map(([name, each]) =>
      html`<li><code>${name}</code> ${answer(each)}</li>`
    )
  }</ul>`;
}

function parameterField({ name, in: place, required, description, schema }: {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: Schema;
}) {
  return { name, required: required ?? false, schema, description, place };
}

function component(name: string, schema: Schema) {
  return html`<section aria-labelledby="schema-${name}">
<h3 id="schema-${name}">${name}</h3>
${schema.description ? html`<p>${prose(schema.description)}</p>` : ""}
${shape(schema)}
</section>`;
}

/** An object's fields as a table; any other type on one line. */
function shape(schema: Schema) {
  const { properties, required = [] } = schema;
  if (!properties) return html`<p>${schemaType(schema)}</p>`;
  return fieldTable(
    Object.entries(properties).map(([name, field]) => ({
      name,
      required: required.includes(name),
      schema: field,
      description: field.description,
    })),
  );
}

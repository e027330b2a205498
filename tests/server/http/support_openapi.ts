/** Answers held against the OpenAPI document, by a validator of JSON Schema. */
import { assert, assertEquals } from "@std/assert";
import Ajv from "ajv";
import { createParser } from "eventsource-parser";
import type { Answer, OpenApiDocument, Schema } from "../../../src/server/http/openapi_types.ts";

export interface Exchange {
  readonly operation: string;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Validates answers, and keeps count of the statuses of each operation. */
export class Contract {
  readonly seen = new Map<string, Set<number>>();
  readonly #ajv = new Ajv({ strict: false, validateFormats: false });

  constructor(readonly document: OpenApiDocument) {
    this.#ajv.addSchema(closed(document), "document");
  }

  /** Statuses of an operation that the document names. */
  statusesOf(operation: string): number[] {
    return Object.keys(this.#find(operation).responses).filter((status) => status !== "default")
      .map(Number);
  }

  /** Fails unless the document describes this answer. */
  hold({ operation, status, headers, body }: Exchange): void {
    const where = `${operation}: ${status}`;
    const given = this.#find(operation).responses[status];
    assert(given, `${where} is not in the document: ${body.slice(0, 300)}`);
    const answer = this.resolve(given as Answer);
    for (const [name, header] of Object.entries(answer.headers ?? {})) {
      const value = headers.get(name);
      assert(value !== null, `${where} has no header ${name}`);
      const schema = this.resolve(header as { schema?: Schema }).schema!;
      this.#validate(schema, schema.type === "integer" ? Number(value) : value, `${where} ${name}`);
    }
    this.seen.set(operation, (this.seen.get(operation) ?? new Set()).add(status));
    if (!answer.content) return assertEquals(body, "", where);
    const type = headers.get("content-type")?.split(";")[0] ?? "";
    const media = answer.content?.[type];
    assert(media, `${where} has content of type ${type}`);
    if (type === "application/json" && media.schema?.type !== "string") {
      this.#validate(media.schema!, JSON.parse(body), where);
    } else if (type === "text/event-stream") {
      const items = eventsOf(body);
      assert(items.length > 0, `${where}: no events in ${body}`);
      for (const item of items) this.#validate(media["x-itemSchema"]!, item, `${where}: an event`);
    } else {
      this.#validate(media.schema!, body, where);
    }
  }

  /** Fails unless the document allows this body, which the server accepted. */
  holdRequest(operation: string, body: BodyInit | null | undefined): void {
    if (typeof body !== "string") return;
    const { schema } = this.#find(operation).requestBody!.content["application/json"];
    this.#validate(schema!, JSON.parse(body), `the body of ${operation}`);
  }

  /** Every example of the document is a value of its schema. */
  checkExamples(): number {
    let count = 0;
    visit(this.document, (schema) => {
      for (const example of schema.examples ?? []) {
        this.#validate(schema, example, `an example of ${JSON.stringify(schema).slice(0, 200)}`);
        count++;
      }
    });
    return count;
  }

  resolve<T extends object>(value: T): T {
    if (!("$ref" in value)) return value;
    const path = String(value.$ref).replace("#/", "").split("/");
    // deno-lint-ignore no-explicit-any
    return path.reduce((at: any, key) => at[key], this.document);
  }

  #find(operation: string) {
    const all = Object.values(this.document.paths).flatMap((path) => Object.values(path));
    const found = all.find(({ operationId }) => operationId === operation);
    assert(found, `no operation ${operation}`);
    return found;
  }

  #validate(schema: Schema, value: unknown, where: string): void {
    const validate = this.#ajv.compile(absolute(closed(schema)));
    assert(
      validate(value),
      `${where}: ${this.#ajv.errorsText(validate.errors)}\n${JSON.stringify(value).slice(0, 1000)}`,
    );
  }
}

/** The JSON of a stream's events, without the end's `[DONE]`. */
function eventsOf(body: string): unknown[] {
  const items: unknown[] = [];
  const parser = createParser({
    onEvent: ({ data }) => data === "[DONE]" || items.push(JSON.parse(data)),
  });
  parser.feed(body);
  return items;
}

/** With objects that have only the fields that are listed, so that a new one is documented, too. */
function closed<T>(value: T): T {
  const copy = structuredClone(value);
  visit(copy, (schema) => {
    if (schema.properties && schema.type === "object") {
      Object.assign(schema, { additionalProperties: schema.additionalProperties ?? false });
    }
  });
  return copy;
}

/** References to the document from outside it. */
function absolute(schema: Schema): Schema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"document#/'));
}

function visit(value: unknown, see: (schema: Schema) => void): void {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) see(value as Schema);
  for (const each of Object.values(value)) visit(each, see);
}

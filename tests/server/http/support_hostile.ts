/** Malicious or faulty requests, generated from the API's OpenAPI document. */
import type { OpenApiDocument, Operation, Schema } from "../../../src/server/http/openapi_types.ts";

export interface HostileRequest {
  readonly method: string;
  /** From the first slash, encoded. */
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body?: BodyInit;
  /** Its fault, for the message of a failed test. */
  readonly fault: string;
}

/** Values that make a request valid except for its one fault, by path: `model`, `training_file`. */
export type KnownValues = (path: string) => Readonly<Record<string, unknown>>;

const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

const BAD_IDS = [
  "..%2f..%2fetc%2fpasswd",
  "..%5c..%5cetc%5cpasswd",
  "%2e%2e%2f%2e%2e%2fserver.db",
  "%2fetc%2fpasswd",
  "file-%00",
  "%00",
  "%E0%A4%A",
  "%ff%fe",
  "%F0%9F%92%A9",
  "x".repeat(10_000),
  "'%20OR%201=1;--",
  "__proto__",
  "constructor",
  "null",
  "-1",
  "file-AAAAAAAAAAAAAAAAAAAAAAAA",
  "ftjob-AAAAAAAAAAAAAAAAAAAAAAAA",
  "ptjob-AAAAAAAAAAAAAAAAAAAAAAAA",
  "ft:base:suffix:AAAAAAAA",
  "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
];

const BAD_QUERIES = [
  "",
  "-1",
  "0",
  "1e309",
  "NaN",
  "9".repeat(400),
  "0x10",
  "1.5",
  "%00",
  "%E0%A4%A",
  "../../etc/passwd",
  "x".repeat(5000),
  "ftjob-AAAAAAAAAAAAAAAAAAAAAAAA",
  "ftevent-99999999999999999999",
  "ftevent--1",
  "[object%20Object]",
  "true",
];

const BAD_VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  -1e308,
  Number.MAX_SAFE_INTEGER,
  "",
  "x",
  "auto",
  "x".repeat(20_000),
  "a\u0000b",
  "\ud800",
  "../../etc/passwd",
  "/etc/passwd",
  "file-AAAAAAAAAAAAAAAAAAAAAAAA",
  [],
  [[]],
  [null],
  Array(3000).fill(1),
  {},
  { type: "x" },
  { length: -1 },
  { toString: "x", constructor: 1, hasOwnProperty: 1 },
];

const MALFORMED = [
  "",
  "{",
  "}",
  "[",
  "null",
  "true",
  "0",
  '"text"',
  "[]",
  "[{}]",
  "{}",
  "nul",
  "{'a':1}",
  '{"a":1,}',
  '{"a":1}{"b":2}',
  '{"a":1e99999}',
  '{"\\ud800":"\\udfff"}',
  '{"__proto__":{"model":"x"}}',
  '{"model":"a","model":"b"}',
  "\u0000",
  "\ufeff{}",
  nested(10_000),
  '{"a":'.repeat(10_000) + "1" + "}".repeat(10_000),
  `{"metadata":${nested(10_000)}}`,
  `{"a":"${"\\u0000".repeat(2000)}"}`,
  "9".repeat(20_000),
];

const BAD_TYPES = [
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "multipart/form-data; boundary=",
  "application/json-seq",
  "application/xml",
  "json",
  ";",
  "application/json; charset=utf-16",
];

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];

const BAD_KEYS = [
  "",
  "Bearer",
  "Bearer ",
  "Bearer sk-wrong",
  `Bearer ${"x".repeat(5000)}`,
  "Basic eA==",
];

const BAD_EVENT_IDS = ["abc", "-1", "1e999", "9".repeat(100), "0", "ftevent-1", "'", "1;2"];

const JSON_TYPE = "application/json";

/** All of them, in the order of the document. Every operation has its own. */
export function hostileRequests(
  document: OpenApiDocument,
  known: KnownValues,
  maxBody: number,
): HostileRequest[] {
  return Object.entries(document.paths).flatMap(([path, operations]) => [
    ...wrongMethods(path, Object.keys(operations)),
    ...Object.entries(operations).flatMap(([method, operation]) => {
      const target = { method: method.toUpperCase(), path, operation };
      return [
        ...badIds(target),
        ...badQueries(target),
        ...badHeaders(target),
        ...badBodies(target, document, known, maxBody),
        ...badForms(target),
      ];
    }),
  ]);
}

interface Target {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

/** The path with an unused id. */
const filled = (path: string, id = "none-AAAAAAAAAAAAAAAAAAAAAAAA") => path.replace(/\{\w+\}/g, id);

function* wrongMethods(path: string, right: readonly string[]): Generator<HostileRequest> {
  for (const method of METHODS) {
    if (right.includes(method.toLowerCase())) continue;
    yield { method, url: filled(path), headers: {}, fault: "wrong method" };
  }
}

function* badIds({ method, path, operation }: Target): Generator<HostileRequest> {
  if (!path.includes("{")) return;
  const headers: Record<string, string> = operation.requestBody
    ? { "content-type": JSON_TYPE }
    : {};
  const body = operation.requestBody ? "{}" : undefined;
  for (const id of BAD_IDS) {
    yield { method, url: filled(path, id), headers, body, fault: `id ${id.slice(0, 40)}` };
  }
}

function* badQueries({ method, path, operation }: Target): Generator<HostileRequest> {
  const names = (operation.parameters ?? []).filter((each) => each.in === "query")
    .map(({ name }) => name);
  if (method !== "GET") return;
  const url = filled(path);
  for (const name of [...names, "unknown", "__proto__", "a[b][c]"]) {
    const key = encodeURIComponent(name);
    for (const value of BAD_QUERIES) {
      const fault = `${name}=${value.slice(0, 40)}`;
      yield { method, url: `${url}?${key}=${value}`, headers: {}, fault };
    }
    yield { method, url: `${url}?${key}=1&${key}=2`, headers: {}, fault: `${name} twice` };
  }
  yield { method, url: `${url}?${"&".repeat(2000)}`, headers: {}, fault: "empty query" };
}

function* badHeaders({ method, path, operation }: Target): Generator<HostileRequest> {
  const url = filled(path);
  for (const id of method === "GET" ? BAD_EVENT_IDS : []) {
    const headers = { "last-event-id": id, accept: "text/event-stream" };
    yield { method, url: `${url}?stream=true`, headers, fault: `Last-Event-ID ${id.slice(0, 20)}` };
  }
  if (operation.security?.length !== 0) {
    for (const authorization of BAD_KEYS) {
      yield { method, url, headers: { authorization }, fault: `key ${authorization.slice(0, 20)}` };
    }
  }
  const headers = {
    "x-filler": "x".repeat(7000),
    "range": "bytes=9-1",
    "if-none-match": '"\u00ff',
  };
  yield { method, url, headers, fault: "odd headers" };
}

function* badBodies(
  { method, path, operation }: Target,
  document: OpenApiDocument,
  known: KnownValues,
  maxBody: number,
): Generator<HostileRequest> {
  if (method === "GET") return;
  const url = filled(path), headers = { "content-type": JSON_TYPE };
  for (const body of MALFORMED) {
    yield { method, url, headers, body, fault: `body ${body.slice(0, 40)}` };
  }
  for (const type of BAD_TYPES) {
    yield { method, url, headers: { "content-type": type }, body: "{}", fault: `type ${type}` };
  }
  const untyped = new TextEncoder().encode("{}");
  yield { method, url, headers: {}, body: untyped, fault: "no content type" };
  const large = `{"a":"${"x".repeat(maxBody)}"}`;
  yield { method, url, headers, body: large, fault: "too large" };
  yield { method, url, headers, body: new Blob([large]).stream(), fault: "too large, in pieces" };
  const schema = operation.requestBody?.content[JSON_TYPE]?.schema;
  if (!schema) return;
  const shapes = new Shapes(document, known(path));
  for (const [value, fault] of shapes.wrongValues(schema)) {
    yield { method, url, headers, body: JSON.stringify(value), fault };
  }
}

/** Nesting depth of objects to mutate. */
const MOST_NESTED = 5;

/** Values of schemas: valid ones, and those with one fault. */
class Shapes {
  constructor(
    readonly document: OpenApiDocument,
    readonly known: ReturnType<KnownValues>,
  ) {}

  /** Only the required fields, with one missing, invalid or extra. */
  *wrongValues(schema: Schema, depth = 0): Generator<[unknown, string]> {
    for (const shape of this.#objectsOf(schema)) {
      const right = this.#example(shape, depth) as Record<string, unknown>;
      if (depth === 0) yield [right, "nothing"];
      yield [{ ...right, unknown_field: 1 }, "unknown field"];
      for (const [name, field] of Object.entries(shape.properties!)) {
        if (name in right) {
          const { [name]: _, ...rest } = right;
          yield [rest, `${name} missing`];
        }
        for (const bad of BAD_VALUES) {
          yield [{ ...right, [name]: bad }, `${name} = ${JSON.stringify(bad).slice(0, 40)}`];
        }
        if (depth === MOST_NESTED) continue;
        for (const [inner, fault] of this.wrongValues(field, depth + 1)) {
          yield [{ ...right, [name]: inner }, `${name}.${fault}`];
          if (this.#resolved(field).items) {
            yield [{ ...right, [name]: [inner] }, `${name}[].${fault}`];
          }
        }
      }
    }
  }

  /** The objects that a value of the schema, or of its list, may be. */
  #objectsOf(schema: Schema): Schema[] {
    const { anyOf, oneOf, allOf, items, properties } = this.#resolved(schema);
    if (properties) return [this.#resolved(schema)];
    return [...anyOf ?? oneOf ?? allOf ?? [], ...items ? [items] : []]
      .flatMap((each) => this.#objectsOf(each));
  }

  #resolved(schema: Schema): Schema {
    if (!schema.$ref) return schema;
    return this.document.components.schemas?.[schema.$ref.split("/").at(-1)!] ?? {};
  }

  #example(given: Schema, depth: number): unknown {
    const schema = this.#resolved(given);
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return schema.enum[0];
    const usual = schema.default ?? schema["x-default"];
    if (usual !== undefined) return usual;
    const options = schema.anyOf ?? schema.oneOf ?? schema.allOf;
    if (options) return this.#example(options.at(-1)!, depth);
    switch ([schema.type].flat()[0]) {
      case "object":
        return Object.fromEntries(
          Object.entries(depth > MOST_NESTED ? {} : schema.properties ?? {})
            .filter(([name]) => schema.required?.includes(name) || name in this.known)
            .map(([name, field]) => [name, this.known[name] ?? this.#example(field, depth + 1)]),
        );
      case "array":
        return [this.#example(schema.items ?? {}, depth + 1)];
      case "number":
      case "integer":
        return Math.max(1, schema.minimum ?? 1);
      case "boolean":
        return false;
      default:
        return "x";
    }
  }
}

function* badForms({ method, path, operation }: Target): Generator<HostileRequest> {
  if (!operation.requestBody?.content["multipart/form-data"]) return;
  const url = filled(path), type = "multipart/form-data; boundary=b";
  const raw = (body: string, fault: string, boundary = type) => ({
    method,
    url,
    headers: { "content-type": boundary },
    body,
    fault: `form: ${fault}`,
  });
  const part = (name: string, content: string, more = "") =>
    `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${content}\r\n`;
  const file = (content: string, name = "a.jsonl") => part("file", content, `; filename="${name}"`);
  const purpose = part("purpose", "fine-tune"), end = "--b--\r\n";
  const line = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n';
  yield raw("", "empty");
  yield raw("--b", "cut off in its boundary");
  yield raw(purpose, "without an end");
  yield raw(purpose + end, "without a file");
  yield raw(file(line) + end, "without a purpose");
  yield raw(purpose + file(line).slice(0, -40), "a file without an end");
  yield raw(purpose + file(line) + file(line) + end, "two files");
  yield raw(purpose + purpose + file(line) + end, "two purposes");
  yield raw(part("purpose", "x".repeat(100_000)) + file(line) + end, "a field that is too long");
  yield raw(purpose + part("x", "y").repeat(500) + file(line) + end, "too many fields");
  yield raw(purpose + part("file", line) + end, "a file that is a field");
  yield raw(`--b\r\n${"X: y\r\n".repeat(5000)}\r\nx\r\n${end}`, "too many headers");
  yield raw(purpose + file(line) + end, "another boundary", "multipart/form-data; boundary=c");
  for (
    const content of ["", "\n\n", "{", "[]\n", "\u0000\u0001", "null\n", `${nested(10_000)}\n`]
  ) {
    yield raw(purpose + file(content) + end, `content ${JSON.stringify(content.slice(0, 20))}`);
  }
  for (const value of ["assistants", "", "../x", "fine-tune\u0000"]) {
    yield raw(part("purpose", value) + file(line) + end, `purpose ${value}`);
  }
  for (
    const name of [
      "../../etc/passwd",
      "..\\..\\etc\\passwd",
      "/etc/passwd.jsonl",
      "a\u0000.jsonl",
      "",
      ".",
      "..",
      "con.jsonl",
      `${"x".repeat(5000)}.jsonl`,
      "a.exe",
      "\u202egpj.jsonl",
    ]
  ) {
    yield raw(purpose + file("{broken\n", name) + end, `filename ${name.slice(0, 30)}`);
  }
}

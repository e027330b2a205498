/** The OpenAPI document of the whole API, from the descriptions of its routes. */
import type { OpenAPIHono } from "../../packages/zod_openapi.ts";
import { z } from "../../packages/zod.ts";
import { PRODUCT, VERSION } from "../../product.ts";
import { errorResponses, ERRORS, HEADERS, withRequestId } from "./error_responses.ts";
import { Components, serializationOf } from "./json_schema.ts";
import type { Answer, Content, OpenApiDocument, Operation, Parameter } from "./openapi_types.ts";

const DESCRIPTION =
  "Trains and serves language models on this machine's GPU. The protocol is OpenAI's: its official " +
  "clients work unchanged, with this server's address plus /v1 as the base URL. Extensions to it are " +
  "marked as such. Times are Unix seconds.";

const TAGS = Object.entries({
  Files: "Training data, and the results of jobs",
  "Fine-tuning": "Jobs that train a model on examples or dialogues",
  "Pre-training": "Jobs that train a model on text; beyond OpenAI's API",
  Jobs: "The events of jobs",
  Metrics: "Curves, live events, and Prometheus",
  Models: "Models, and their answers",
  Server: "The server itself",
}).map(([name, description]) => ({ name, description }));

export interface ApiAccess {
  /** Whether the path needs no key. */
  isPublic(path: string): boolean;
  /** Whether the server has no keys, so that nothing needs one. */
  open(): boolean;
}

type Definition = OpenAPIHono["openAPIRegistry"]["definitions"][number];
type Route = Extract<Definition, { type: "route" }>["route"];

/** OpenAPI 3.1 of all routes mounted on the app. */
export function openApiDocument(
  app: OpenAPIHono,
  { isPublic, open }: ApiAccess,
): OpenApiDocument {
  const components = new Components(), paths: Record<string, Record<string, Operation>> = {};
  for (const definition of app.openAPIRegistry.definitions) {
    if (definition.type !== "route") continue;
    const { route } = definition, needsKey = !isPublic(route.path);
    paths[route.path] = {
      ...paths[route.path],
      [route.method]: {
        ...operationOf(route, components, needsKey),
        ...(needsKey ? undefined : { security: [] }),
      },
    };
  }
  for (const [path, { post }] of Object.entries(paths)) if (post) linkBelow(path, post, paths);
  return {
    openapi: "3.1.0",
    info: {
      title: PRODUCT,
      version: VERSION,
      description: DESCRIPTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    // Relative to the document, so that it is correct wherever the server is mounted.
    servers: [{ url: "." }],
    security: open() ? [{ bearer: [] }, {}] : [{ bearer: [] }],
    tags: TAGS,
    paths,
    components: {
      schemas: components.schemas,
      responses: errorResponses(components),
      headers: HEADERS,
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "An API key of `cli.ts key`. Not needed while the server has none.",
        },
      },
    },
  };
}

/** Says that the id of what an operation creates is the parameter of those below its path. */
function linkBelow(path: string, { responses }: Operation, paths: OpenApiDocument["paths"]): void {
  const below = Object.entries(paths).filter(([other]) => other.startsWith(`${path}/{id}`))
    .flatMap(([, operations]) => Object.values(operations));
  if (!below.length) return;
  const parameters = { id: "$response.body#/id" };
  const links = below.map(({ operationId }) => [operationId, { operationId, parameters }]);
  Object.assign(responses[200], { links: Object.fromEntries(links) });
}

function operationOf(route: Route, components: Components, needsKey: boolean): Operation {
  const { operationId, summary, description, tags, request = {} } = route;
  const parameters = parametersOf(request, components);
  const body = request.body && {
    required: request.body.required,
    content: contentOf(request.body.content, components, "input"),
  };
  return {
    operationId,
    summary,
    ...(description === undefined ? undefined : { description }),
    tags,
    ...(parameters.length ? { parameters } : undefined),
    ...(body && { requestBody: body }),
    responses: { ...answersOf(route, components), ...errorsOf(route, needsKey, parameters) },
  };
}

/** The request's schemas by their place in it, as a route has them. */
const PLACES = { params: "path", query: "query", headers: "header" } as const;

function parametersOf(
  request: NonNullable<Route["request"]>,
  components: Components,
): Parameter[] {
  return Object.entries(PLACES).flatMap(([field, place]) => {
    const schema = request[field as keyof typeof PLACES] as z.ZodObject | undefined;
    if (!schema) return [];
    const { properties = {}, required = [] } = components.schemaOf(schema, "input");
    return Object.entries(properties).map(([name, { description, ...json }]) => ({
      name,
      in: place,
      required: required.includes(name),
      ...(description === undefined ? undefined : { description }),
      schema: json,
      ...serializationOf(schema.shape[name]),
    }));
  });
}

function answersOf({ responses }: Route, components: Components): Record<string, Answer> {
  return Object.fromEntries(
    Object.entries(responses).filter(([, answer]) => !("$ref" in answer)).map(
      ([status, answer]) => {
        const { description, content } = answer as Extract<typeof answer, { description: string }>;
        return [
          status,
          withRequestId({
            description,
            ...(content ? { content: contentOf(content, components, "output") } : undefined),
          }),
        ];
      },
    ),
  );
}

/** Schemas in routes are zod's, or already JSON Schema. */
function contentOf(content: object, components: Components, io: "input" | "output"): Content {
  const converted = (value: unknown) =>
    value instanceof z.ZodType ? components.schemaOf(value, io) : value;
  return Object.fromEntries(
    Object.entries(content).map(([type, media]) => [
      type,
      Object.fromEntries(Object.entries(media).map(([key, value]) => [key, converted(value)])),
    ]),
  );
}

/** Whether not every text is a value of the parameter. */
function isBounded({ schema }: Parameter) {
  const { type, description: _, examples: _examples, ...bounds } = schema;
  return type !== "string" || Object.keys(bounds).length > 0;
}

/** Those that the route names, and those of what every request passes before it. */
function errorsOf(
  { method, responses }: Route,
  needsKey: boolean,
  parameters: readonly Parameter[],
): Operation["responses"] {
  const own = Object.entries(responses).filter(([, answer]) => "$ref" in answer)
    .map(([status]) => Number(status));
  const statuses = [
    ...own,
    ...(parameters.some(isBounded) ? [400] : []),
    ...(needsKey ? [401] : []),
    ...(method === "get" ? [] : [400, 408, 413, 415]),
    ...[403, 429, 500, 507],
  ];
  const refer = (name: string) => ({ $ref: `#/components/responses/${name}` });
  return {
    ...Object.fromEntries(
      [...new Set(statuses)].sort().map((status) => [status, refer(ERRORS[status].name)]),
    ),
    default: refer("Error"),
  };
}

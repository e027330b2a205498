/** How the OpenAPI document describes errors. Each is one component, to which operations refer. */
import { z } from "../../packages/zod_openapi.ts";
import type { Components } from "./json_schema.ts";
import type { Answer } from "./openapi_types.ts";

const errorSchema = z.object({
  error: z.object({
    message: z.string().describe("What is wrong, the value, and what would be right"),
    type: z.string().describe("`invalid_request_error` in most cases"),
    param: z.string().nullable().describe("The request field at fault"),
    code: z.string().nullable().describe("For programs, such as `model_not_found`"),
    choices: z.array(z.string()).optional().describe(
      "Values of the field that would do; beyond OpenAI's API",
    ),
  }).openapi("Error"),
}).openapi("ErrorResponse");

interface ErrorKind {
  /** Name of the component. */
  readonly name: string;
  readonly description: string;
  /** Headers besides the request's id. */
  readonly headers?: readonly string[];
}

/** By status. */
export const ERRORS: Readonly<Record<number, ErrorKind>> = {
  400: { name: "BadRequest", description: "The request is not valid, or cannot be fulfilled" },
  401: {
    name: "Unauthorized",
    description: "The API key is missing or wrong",
    headers: ["WWW-Authenticate"],
  },
  403: { name: "Forbidden", description: "Refused: by the request's origin, or what it asks for" },
  404: { name: "NotFound", description: "What the request names does not exist" },
  408: { name: "RequestTimeout", description: "The body did not arrive in time" },
  409: { name: "Conflict", description: "It is in use" },
  413: { name: "TooLarge", description: "The body is too large, or there is no space for it" },
  415: { name: "UnsupportedMediaType", description: "The body is of another type" },
  429: {
    name: "TooManyRequests",
    description: "Too many requests at once, or within a minute",
    headers: ["Retry-After"],
  },
  500: { name: "InternalError", description: "The server failed; its log has the request's id" },
  503: { name: "Unavailable", description: "Not at the moment, such as for want of memory" },
  507: { name: "InsufficientStorage", description: "The server's disk is full, or cannot be used" },
};

export const HEADERS = {
  "X-Request-Id": {
    description: "Identifies the request in the server's log",
    schema: { type: "string" },
  },
  "Retry-After": {
    description: "Seconds after which to try again",
    schema: { type: "integer", minimum: 0 },
  },
  "WWW-Authenticate": { description: "`Bearer`", schema: { type: "string" } },
};

/** For the responses of a route: the errors that it can give, beyond those of any route. */
export function errors<Status extends number>(...statuses: Status[]) {
  return Object.fromEntries(
    statuses.map((status) => [status, { $ref: `#/components/responses/${ERRORS[status].name}` }]),
  ) as Record<Status, { $ref: string }>;
}

/** All components. */
export function errorResponses(components: Components): Record<string, Answer> {
  const content = {
    "application/json": { schema: components.schemaOf(errorSchema, "output") },
  };
  const kinds = [
    ...Object.values(ERRORS),
    { name: "Error", description: "What went wrong", headers: [] },
  ];
  return Object.fromEntries(
    kinds.map(({ name, description, headers }) => [
      name,
      withRequestId({ description, content }, headers),
    ]),
  );
}

export function withRequestId(answer: Answer, others: readonly string[] = []): Answer {
  const { description, ...rest } = answer;
  const headers = Object.fromEntries(
    ["X-Request-Id", ...others].map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
  return { description, headers, ...rest };
}

/** The base of every part of the API: validates requests by schema, reports faults in one shape. */
import { OpenAPIHono } from "../../packages/zod_openapi.ts";
import type { z } from "../../packages/zod.ts";
import { ApiError } from "../api_error.ts";

export function createApp(): OpenAPIHono {
  return new OpenAPIHono({
    defaultHook: (result) => {
      if (!result.success) throw invalidRequest(result.error);
    },
  });
}

/** 400 with the first fault's field as `param`, and all faults in the message. */
export function invalidRequest(error: Pick<z.ZodError, "issues">): ApiError {
  const issues = error.issues.flatMap(explained);
  const faults = issues.map(({ path, message }) => {
    const place = path.join(".");
    return place ? `${place}: ${message}` : message;
  });
  const param = issues[0]?.path.join(".") || undefined;
  return new ApiError(400, { message: faults.join("; "), param, code: "invalid_value" });
}

type Issue = Pick<z.core.$ZodIssue, "path" | "message">;

/** Of a value that may have several forms: what is wrong with the form that it has, or all forms. */
function explained(issue: z.core.$ZodIssue): readonly Issue[] {
  // A schema may have words of its own for it.
  const unworded = issue.code === "invalid_union" && issue.message === "Invalid input";
  if (!unworded || !issue.errors.length) return [issue];
  const { path, errors } = issue;
  const own = errors.find((issues) => !issues.some(isOfAnotherForm));
  if (own) {
    return own.flatMap(explained).map((each) => ({ ...each, path: [...path, ...each.path] }));
  }
  const wanted = errors.map(([{ message }]) => EXPECTED.exec(message)?.[1] ?? message);
  return [{ path, message: `Invalid input: expected ${[...new Set(wanted)].join(" or ")}` }];
}

/** In zod's words for a wrong type or value. */
const EXPECTED = /^Invalid (?:input|option): expected (.*?)(?:, received .*)?$/;

function isOfAnotherForm({ code, path }: z.core.$ZodIssue): boolean {
  return path.length === 0 && (code === "invalid_type" || code === "invalid_value");
}

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
  const faults = error.issues.map(({ path, message }) => {
    const place = path.join(".");
    return place ? `${place}: ${message}` : message;
  });
  const param = error.issues[0]?.path.join(".") || undefined;
  return new ApiError(400, { message: faults.join("; "), param, code: "invalid_value" });
}

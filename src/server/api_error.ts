/** Errors sent to clients, in the shape that OpenAI's clients read. */
import type { DiskFault } from "../files/disk_error.ts";
import type { ContentfulStatusCode } from "../packages/hono.ts";

export interface ApiErrorDetails {
  /** What is wrong, including the value, and what would be right. */
  readonly message: string;
  /** The offending field of the request. */
  readonly param?: string;
  /** Machine-readable: `model_not_found`. */
  readonly code?: string;
  /** Values of the offending field that would do; beyond OpenAI's API. */
  readonly choices?: readonly string[];
  /** `invalid_request_error` by default. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(readonly status: ContentfulStatusCode, readonly details: ApiErrorDetails) {
    super(details.message);
  }

  /** The response body. */
  toJSON() {
    const { message, param, code, type, choices } = this.details;
    return {
      error: {
        message,
        type: type ?? "invalid_request_error",
        param: param ?? null,
        code: code ?? null,
        ...(choices && { choices }),
      },
    };
  }

  toResponse(): Response {
    return Response.json(this, { status: this.status, headers: this.details.headers });
  }
}

/** 507, for a request that the disk cannot take; nothing of it is kept. */
export function diskRefusal(fault: DiskFault): ApiError {
  const message = fault === "disk_full"
    ? "The disk of the data folder is full: delete files or models, or make room on the disk"
    : "The data folder cannot be read or written: the server's log has the reason";
  return new ApiError(507, { message, type: "server_error", code: fault });
}

/**
 * Throws the error with which the server itself has ended the request, if it has; not for a client
 * that has left.
 */
export function throwIfEnded({ reason }: AbortSignal): void {
  if (reason instanceof ApiError) throw reason;
}

/** 404, as OpenAI words it. */
export function notFound(what: string, id: string, param = "id"): ApiError {
  return new ApiError(404, { message: `No such ${what}: ${id}`, param, code: "not_found" });
}

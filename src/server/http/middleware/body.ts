/** Request bodies: JSON of limited size and nesting that arrives in time. */
import { createMiddleware } from "../../../packages/hono.ts";
import { ApiError } from "../../api_error.ts";
import type { ServerEnv } from "./context.ts";

export interface BodyLimits {
  readonly maxBytes: number;
  /** Milliseconds within which a body must arrive. */
  readonly timeoutMs: number;
  /** Paths that accept files and check size, type and time themselves. */
  readonly isUpload: (path: string) => boolean;
}

/** Deeper than any request needs, and far from overflowing the stack of recursive code. */
const MOST_NESTED = 64;

const METHODS_WITHOUT = new Set(["GET", "HEAD", "OPTIONS"]);

export function limitBody(limits: BodyLimits) {
  return createMiddleware<ServerEnv>(async (context, next) => {
    const { raw, method, path } = context.req;
    if (METHODS_WITHOUT.has(method) || !raw.body || limits.isUpload(path)) return await next();
    context.req.raw = new Request(raw, { body: await readJson(raw, limits) });
    await next();
  });
}

async function readJson(request: Request, limits: BodyLimits): Promise<Uint8Array<ArrayBuffer>> {
  const { maxBytes, timeoutMs } = limits;
  if (Number(request.headers.get("content-length")) > maxBytes) throw tooLarge(maxBytes);
  const body = await readAll(request.body!, maxBytes, timeoutMs);
  const type = request.headers.get("content-type");
  if (body.length && !/^application\/([\w.-]+\+)?json *(;|$)/i.test(type ?? "")) {
    throw new ApiError(415, {
      message: `the body must be application/json, got ${type ?? "no content type"}`,
      code: "unsupported_content_type",
    });
  }
  if (nestedDeeperThan(MOST_NESTED, body)) {
    throw new ApiError(400, {
      message: `the body is nested deeper than ${MOST_NESTED} levels`,
      code: "invalid_json",
    });
  }
  return body;
}

/** The whole body. Throws an {@link ApiError} 413 after `maxBytes`, 408 after `timeoutMs`. */
async function readAll(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  timeoutMs: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(tooSlow(timeoutMs)), timeoutMs);
  try {
    while (true) {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) break;
      length += value.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      pieces.push(value);
    }
  } catch (error) {
    // Not awaited: a stalled client would delay its own response. One that has gone needs none.
    reader.cancel().catch(() => {});
    throw error instanceof ApiError ? error : bodyCutShort();
  } finally {
    clearTimeout(timer);
  }
  return joined(pieces, length);
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const QUOTE = 0x22, BACKSLASH = 0x5c, OPEN = new Set([0x5b, 0x7b]), CLOSE = new Set([0x5d, 0x7d]);

/** Counts brackets outside strings; invalid JSON is left for the parser to report. */
function nestedDeeperThan(most: number, json: Uint8Array): boolean {
  let depth = 0, quoted = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (quoted) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) quoted = false;
    } else if (byte === QUOTE) quoted = true;
    else if (OPEN.has(byte) && ++depth > most) return true;
    else if (CLOSE.has(byte)) depth--;
  }
  return false;
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(413, {
    message: `the body is larger than ${maxBytes / 1024} KiB, the server's max_body`,
    code: "request_too_large",
    headers: { connection: "close" },
  });
}

function tooSlow(timeoutMs: number): ApiError {
  return new ApiError(408, {
    message: `the body did not arrive within ${timeoutMs / 1000} s`,
    code: "request_timeout",
    headers: { connection: "close" },
  });
}

function bodyCutShort(): ApiError {
  return new ApiError(400, { message: "the body ended early", code: "incomplete_body" });
}

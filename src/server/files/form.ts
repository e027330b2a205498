/** A form with one file, streamed: neither form nor file is ever entirely in memory. */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Busboy, type BusboyFileStream } from "../../packages/busboy.ts";
import { ApiError } from "../api_error.ts";
import { bodyChunks } from "./body_chunks.ts";

export interface FormFile {
  /** The client's name, without folders. */
  readonly filename: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface Form<Saved> {
  readonly fields: ReadonlyMap<string, string>;
  /** The result of `save`; undefined if the form has no file. */
  readonly saved?: Saved;
}

const LIMITS = { fields: 16, files: 1, parts: 17, fieldSize: 1024, headerSize: 16 * 1024 };

/**
 * Reads a `multipart/form-data` request. The field `file` is streamed to `save`; if `save` throws,
 * reading ends immediately. Throws an {@link ApiError} for a body that is not such a form (415,
 * 400), ends early, or stalls for `stallMs` (408).
 */
export async function readForm<Saved>(
  request: Request,
  stallMs: number,
  save: (file: FormFile) => Promise<Saved>,
): Promise<Form<Saved>> {
  const fields = new Map<string, string>();
  let saving: Promise<Saved> | undefined, file: BusboyFileStream | undefined, fault: unknown;
  const parser = parserOf(request);
  const reader = request.body!.getReader();
  const fail = (error: unknown) => {
    fault ??= error;
    parser.destroy(fault as Error);
    // Not awaited: cancelling waits for the pending read, which may wait for a silent client.
    reader.cancel().catch(() => {});
  };
  parser.on("field", (name: string, value: string, _: boolean, cut: boolean) => {
    if (cut) fail(invalid(name, `is longer than ${LIMITS.fieldSize} bytes`));
    else if (fields.has(name)) fail(invalid(name, "occurs twice"));
    else fields.set(name, value);
  });
  parser.on("file", (name: string, chunks: BusboyFileStream, filename: string) => {
    chunks.on("error", () => {}); // the body ended early; the reader of the chunks gets the error
    if (name !== "file") return fail(invalid(name, "is a file; the file's field is named file"));
    file = chunks;
    saving = save({ filename, chunks });
    saving.catch(fail);
  });
  parser.on("filesLimit", () => fail(invalid("file", "occurs twice: a form may have one file")));
  for (const event of ["fieldsLimit", "partsLimit"]) {
    parser.on(event, () => fail(invalid(undefined, "the form has too many fields")));
  }
  // Report the first fault: ending the stream causes others.
  parser.on("error", (error: Error) => fault ??= incomplete(error));
  try {
    await pipeline(Readable.from(chunksOf(reader, stallMs)), parser);
    return { fields, saved: await saving };
  } catch (error) {
    file?.destroy(error as Error); // the parser leaves it open
    await saving?.catch(() => {}); // it may fail with this error too
    throw fault ?? error;
  }
}

function parserOf({ headers, body }: Request): InstanceType<typeof Busboy> {
  const type = headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\s*(;|$)/i.test(type)) {
    throw new ApiError(415, {
      message: `Content-Type must be multipart/form-data, got ${type || "none"}`,
      code: "unsupported_content_type",
    });
  }
  if (!body) throw incomplete(new Error("it is empty"));
  try {
    return new Busboy({ headers: { "content-type": type }, limits: LIMITS });
  } catch (error) {
    throw incomplete(error);
  }
}

async function* chunksOf(reader: ReadableStreamDefaultReader<Uint8Array>, stallMs: number) {
  try {
    yield* bodyChunks(reader, stallMs);
  } catch (error) {
    throw incomplete(error);
  }
}

function incomplete(cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause;
  return new ApiError(400, {
    message: `The body is not complete multipart/form-data: ${(cause as Error).message}`,
    code: "invalid_form",
  });
}

export function invalid(param: string | undefined, rule: string): ApiError {
  const message = param === undefined ? rule : `${param} ${rule}`;
  return new ApiError(400, { message, param, code: "invalid_value" });
}

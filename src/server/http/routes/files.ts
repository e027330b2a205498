/** `/v1/files`: training data and results of jobs. */
import { createRoute, type OpenAPIHono, z } from "../../../packages/zod_openapi.ts";
import { ApiError, notFound } from "../../api_error.ts";
import { answer } from "../answer.ts";
import { createApp } from "../app_base.ts";
import { errors } from "../error_responses.ts";
import { contentType, DOWNLOAD_TYPES } from "../../store/file_kinds.ts";
import { type FileServices, receiveFile, type ReceiveOptions } from "../../files/receive.ts";
import { removeFile } from "../../files/remove.ts";
import {
  deletedFileSchema,
  filePageSchema,
  fileQuery,
  fileSchema,
  toFile,
  uploadSchema,
} from "../../protocol/file.ts";
import { pageOf } from "../../protocol/page.ts";
import type { FileRecord } from "../../store/records.ts";

const params = z.object({ id: z.string() });

const upload = createRoute({
  method: "post",
  path: "/v1/files",
  operationId: "createFile",
  tags: ["Files"],
  summary: "Upload a file; all of its records are validated before it is stored",
  request: {
    body: { required: true, content: { "multipart/form-data": { schema: uploadSchema } } },
  },
  responses: answer("The file", fileSchema),
});

const list = createRoute({
  method: "get",
  path: "/v1/files",
  operationId: "listFiles",
  tags: ["Files"],
  summary: "List files",
  request: { query: fileQuery },
  responses: { ...answer("A page of files", filePageSchema), ...errors(404) },
});

const retrieve = createRoute({
  method: "get",
  path: "/v1/files/{id}",
  operationId: "retrieveFile",
  tags: ["Files"],
  summary: "Retrieve a file's metadata",
  request: { params },
  responses: { ...answer("The file", fileSchema), ...errors(404) },
});

const BYTES = { type: "string" as const, format: "binary" };

const content = createRoute({
  method: "get",
  path: "/v1/files/{id}/content",
  operationId: "downloadFile",
  tags: ["Files"],
  summary: "Download a file",
  request: { params },
  responses: {
    200: {
      description: "The bytes, as uploaded",
      content: Object.fromEntries(DOWNLOAD_TYPES.map((type) => [type, { schema: BYTES }])),
    },
    ...errors(404),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/files/{id}",
  operationId: "deleteFile",
  tags: ["Files"],
  summary: "Delete a file that no unfinished job needs",
  request: { params },
  responses: { ...answer("Deleted", deletedFileSchema), ...errors(404, 409) },
});

export function fileRoutes(services: FileServices, receiving: ReceiveOptions = {}): OpenAPIHono {
  const { store, storage } = services;
  const found = (id: string): FileRecord => {
    const file = store.files.get(id);
    if (!file) throw notFound("file", id);
    return file;
  };
  const app = createApp();

  app.openapi(
    upload,
    async (c) => c.json(toFile(await receiveFile(c.req.raw, services, receiving))),
  );

  app.openapi(list, (c) => {
    const { data, hasMore } = store.files.list(c.req.valid("query"));
    return c.json(pageOf(data.map(toFile), hasMore), 200);
  });

  app.openapi(retrieve, (c) => c.json(toFile(found(c.req.valid("param").id)), 200));

  app.openapi(content, async (c) => {
    const record = found(c.req.valid("param").id);
    const file = await Deno.open(storage.filePath(record)).catch((error) => {
      throw error instanceof Deno.errors.NotFound ? notFound("file", record.id) : error;
    });
    // An answer to HEAD has no body: nobody would read the file to its end and so close it.
    const isHead = c.req.method === "HEAD";
    if (isHead) file.close();
    return new Response(isHead ? null : file.readable, {
      headers: {
        "Content-Type": contentType(record),
        "Content-Length": String(record.bytes),
        "Content-Disposition": attachment(record.filename),
        "X-Content-Type-Options": "nosniff",
      },
    });
  });

  app.openapi(remove, async (c) => {
    const { id } = found(c.req.valid("param").id);
    const jobs = store.jobs.usingFile(id);
    if (jobs.length > 0) {
      throw new ApiError(409, {
        message: `File ${id} is in use by ${jobs.join(", ")}: cancel it or wait until it ends`,
        param: "id",
        code: "file_in_use",
      });
    }
    await removeFile(found(id), services);
    return c.json({ id, object: "file" as const, deleted: true as const }, 200);
  });

  return app;
}

/** RFC 6266: an ASCII name for all clients, and the exact name for those that support it. */
function attachment(filename: string): string {
  const plain = filename.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  const encoded = encodeURIComponent(filename)
    .replace(/['()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}

/**
 * `/v1/workers`: who runs jobs; and what workers on other machines say, which is between programs of
 * one release and no part of the API.
 */
import { createRoute, type OpenAPIHono, z } from "../../../packages/zod_openapi.ts";
import type { Context } from "../../../packages/hono.ts";
import { ApiError } from "../../api_error.ts";
import { Pool } from "../../pool/pool.ts";
import {
  claimSchema,
  commitSchema,
  FILE_SIZE,
  helloSchema,
  reportSchema,
  type Traveller,
} from "../../pool/protocol.ts";
import { toWorkers, workerPageSchema } from "../../protocol/worker.ts";
import type { Services } from "../../services.ts";
import { answer } from "../answer.ts";
import { createApp, invalidRequest } from "../app_base.ts";

const list = createRoute({
  method: "get",
  path: "/v1/workers",
  operationId: "listWorkers",
  tags: ["Server"],
  summary: "List workers, their GPUs, and the jobs that they run",
  responses: answer("All workers", workerPageSchema),
});

/** Where workers send files, which no limit of a request's size concerns. */
export const isWorkersUpload = (path: string) =>
  /^\/v1\/workers\/leases\/[^/]+\/files\//.test(path);

export function poolRoutes(services: Services): OpenAPIHono {
  const app = createApp(), lease = "/v1/workers/leases/:lease";
  app.openapi(list, (context) => context.json(toWorkers(services), 200));

  const pool = (): Pool => {
    if (services.pool instanceof Pool) return services.pool;
    throw new ApiError(409, {
      message: "this server was started without a queue for workers on other machines",
      code: "no_queue",
    });
  };
  app.post("/v1/workers/hello", async (context) => {
    return context.json(pool().hello(await read(context, helloSchema)));
  });
  app.post("/v1/workers/claims", async (context) => {
    return context.json(await pool().claim(await read(context, claimSchema)));
  });
  app.post(`${lease}/reports`, async (context) => {
    return context.json(await pool().report(idOf(context), await read(context, reportSchema)));
  });
  app.post(`${lease}/commits`, async (context) => {
    await pool().commit(idOf(context), await read(context, commitSchema));
    return context.json({});
  });
  app.get(`${lease}/inputs/:sha256`, async (context) => {
    const file = await Deno.open(pool().input(idOf(context), context.req.param("sha256")!));
    const { size } = await file.stat();
    return new Response(file.readable, { headers: { "content-length": String(size) } });
  });
  app.put(`${lease}/files/*`, async (context) => {
    const body = context.req.raw.body ?? new Blob().stream();
    await pool().receive(idOf(context), fileOf(context), body);
    return context.json({});
  });
  return app;
}

const idOf = (context: Context) => context.req.param("lease")!;

async function read<T>(context: Context, schema: z.ZodType<T>): Promise<T> {
  const { success, data, error } = schema.safeParse(await context.req.json());
  if (success) return data;
  throw invalidRequest(error);
}

/** The file that a request brings. Throws an ApiError 400 if it does not say which that is. */
function fileOf({ req }: Context): Traveller {
  const place = /\/files\/(.*)$/.exec(new URL(req.url).pathname)![1];
  const digest = req.header("repr-digest") ?? "", size = req.header(FILE_SIZE) ?? "";
  const [, base64] = /^sha-256=:([A-Za-z0-9+/]{43}=):$/.exec(digest) ?? [];
  if (!base64) throw invalidFile("repr-digest", `must be its SHA-256, got ${digest || "none"}`);
  if (!/^\d{1,15}$/.test(size)) {
    throw invalidFile(FILE_SIZE, `must be its size in bytes, got ${size || "none"}`);
  }
  const sha256 = Uint8Array.fromBase64(base64).toHex();
  try {
    return { path: decodeURIComponent(place), bytes: Number(size), sha256 };
  } catch {
    throw invalidFile("path", `is not percent-encoded: ${place}`);
  }
}

const invalidFile = (param: string, rule: string) =>
  new ApiError(400, { message: `${param} ${rule}`, param, code: "invalid_value" });

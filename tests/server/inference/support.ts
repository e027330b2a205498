/** A server with only inference, on a real port, with real processes and the official client. */
import { join } from "@std/path";
import OpenAI from "openai";
import { ApiError } from "../../../src/server/api_error.ts";
import { createApp } from "../../../src/server/http/app_base.ts";
import { type HostParts, InferenceHost } from "../../../src/server/inference/host.ts";
import { limitBody } from "../../../src/server/http/middleware/body.ts";
import { ModelFolder } from "../../../src/server/models/model_folder.ts";
import { chatRoutes } from "../../../src/server/http/routes/chat.ts";
import { completionRoutes } from "../../../src/server/http/routes/completions.ts";
import { modelRoutes } from "../../../src/server/http/routes/models.ts";
import { ServerLog } from "../../../src/server/server_log.ts";
import type { Services, Storage } from "../../../src/server/services.ts";
import { Database } from "../../../src/server/store/database.ts";
import { Store } from "../../../src/server/store/store.ts";
import { type ChatFolder, writeChatModel } from "../../inference/support.ts";

export interface ModelServer {
  readonly host: InferenceHost;
  readonly models: ModelFolder;
  readonly store: Store;
  readonly database: Database;
  /** Bytes accounted to `storage`. */
  readonly accounted: number[];
  readonly client: OpenAI;
  readonly url: string;
  /** The path of a model in the models folder. */
  path(name: string): string;
  /** The folder of a job in the data folder. */
  jobFolder(id: string): string;
}

export interface ModelServerSetup extends Partial<HostParts> {
  /** Chat models to write into the models folder. */
  readonly write?: Readonly<Record<string, ChatFolder>>;
}

/** The routes with the middleware that affects responses. */
export function modelApp(services: Pick<Services, "models" | "inference" | "serverLog">) {
  const app = createApp();
  app.use(limitBody({ maxBytes: 2 ** 20, timeoutMs: 5000, isUpload: () => false }) as never);
  for (const routes of [modelRoutes, chatRoutes, completionRoutes]) {
    app.route("/", routes(services));
  }
  app.onError((error) => {
    if (!(error instanceof ApiError)) throw error;
    return error.toResponse();
  });
  return app;
}

export async function withModelServer(
  { write = {}, ...parts }: ModelServerSetup,
  run: (server: ModelServer) => Promise<void>,
): Promise<void> {
  const root = await Deno.realPath(await Deno.makeTempDir());
  const modelsFolder = join(root, "models");
  const database = Database.open(join(root, "server.sqlite")), store = Store.over(database);
  const accounted: number[] = [];
  const jobFolder = (id: string) => join(root, "jobs", id);
  const storage = {
    jobFolder,
    account: (bytes: number) => accounted.push(bytes),
  } as Partial<Storage> as Storage;
  const models = new ModelFolder({
    options: { modelsFolder },
    store,
    storage,
    inference: () => host,
  });
  const serverLog = new ServerLog(console.error);
  const host: InferenceHost = new InferenceHost({
    options: { modelIdle: 10, gpuMemory: undefined, maxWaiting: 32 },
    models,
    serverLog,
    store,
    own: [],
    ...parts,
  });
  const app = modelApp({ models, inference: host, serverLog });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, app.fetch);
  const url = `http://127.0.0.1:${server.addr.port}`;
  try {
    for (const [name, options] of Object.entries(write)) {
      await writeChatModel(join(modelsFolder, name), options);
    }
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
    const path = (name: string) => join(modelsFolder, name);
    await run({ host, models, store, database, accounted, client, url, path, jobFolder });
  } finally {
    await host.stop();
    await server.shutdown();
    store.close();
    await Deno.remove(root, { recursive: true });
  }
}

/** A test with processes and a server, exempt from leak checks. */
export function serverTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

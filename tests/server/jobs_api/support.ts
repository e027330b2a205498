/** The job routes over a real store, with a queue that only records jobs. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { join } from "@std/path";
import OpenAI from "openai";
import { ApiError } from "../../../src/server/api_error.ts";
import { Rehearsal } from "../../../src/server/admission/rehearsal.ts";
import type { DataFolder } from "../../../src/server/storage/data_folder.ts";
import { createApp } from "../../../src/server/http/app_base.ts";
import { newId } from "../../../src/server/store/ids.ts";
import type { JobRecord } from "../../../src/server/store/records.ts";
import { fineTuningRoutes } from "../../../src/server/http/routes/fine_tuning.ts";
import { pretrainingRoutes } from "../../../src/server/http/routes/pretraining.ts";
import type {
  Jobs,
  ModelRecord,
  Models,
  NewJob,
  Services,
  Storage,
} from "../../../src/server/services.ts";
import { warning } from "../../../src/server/jobs/job_events.ts";
import { Store } from "../../../src/server/store/store.ts";
import { writeChatModel } from "../../inference/support.ts";
import { testServices } from "../support_services.ts";
import { CONSUMER_CARD } from "../../../src/gpu/capabilities.ts";

export interface JobsApi {
  readonly app: OpenAPIHono;
  readonly services: Services;
  readonly client: OpenAI;
  /** Id of a file of that purpose. */
  file(purpose?: string): string;
  /** The answer's status and body. */
  post(path: string, body: unknown): Promise<{ status: number; body: Answer }>;
  get(path: string): Promise<{ status: number; body: Answer }>;
}

// deno-lint-ignore no-explicit-any
type Answer = any;

export interface Setup {
  /** Options of the server. */
  readonly options?: Record<string, unknown>;
  /** The workers of the server's machine; one by default. */
  readonly own?: Services["own"];
  readonly findLauncher?: Services["findLauncher"];
  readonly pool?: Services["pool"];
  readonly freeDisk?: number;
  readonly software?: boolean;
  readonly models?: readonly ModelRecord[];
  /** Where files are, if they are read. */
  readonly filesFolder?: string;
  /** Reads files from it before a job is accepted, as a server does. */
  readonly dataFolder?: DataFolder;
}

/** Of the model that every test has: `tiny`, 256 positions, 408 tokens. */
let folder: string | undefined;

async function tinyModel(): Promise<string> {
  if (!folder) {
    folder = await Deno.makeTempDir({ prefix: "jobs-api-" });
    await writeChatModel(folder);
    const made = folder;
    globalThis.addEventListener("unload", () => Deno.removeSync(made, { recursive: true }));
  }
  return folder;
}

export async function withJobsApi(
  setup: Setup,
  use: (api: JobsApi) => Promise<void>,
): Promise<void> {
  const path = await tinyModel();
  const store = Store.open(":memory:");
  const models = [
    { name: "tiny", kind: "base", createdAt: 0, path } as const,
    ...setup.models ?? [],
  ];
  const services = testServices({
    store,
    options: { gpuMemory: 8, ...setup.options },
    ...(setup.own && { own: setup.own }),
    ...(setup.findLauncher && { findLauncher: setup.findLauncher }),
    ...(setup.pool && { pool: setup.pool }),
    jobs: fakeJobs(store),
    models: fakeModels(models),
    storage: setup.dataFolder ?? {
      free: () => Promise.resolve(setup.freeDisk ?? 2 ** 40),
      filePath: ({ id }) => join(setup.filesFolder!, `${id}.jsonl`),
    } as Storage,
    ...(setup.software === undefined ? {} : {
      device: {
        name: "test adapter",
        capabilities: {
          ...CONSUMER_CARD,
          software: setup.software,
          limits: { ...CONSUMER_CARD.limits, maxBufferSize: 2 ** 30 },
        },
      },
    }),
  });
  if (setup.dataFolder) Object.assign(services, { rehearsal: new Rehearsal(services) });
  const app = createApp();
  app.onError((error) => {
    if (error instanceof ApiError) return error.toResponse();
    throw error;
  });
  app.route("/", fineTuningRoutes(services));
  app.route("/", pretrainingRoutes(services));
  const answered = async (response: Response) => ({
    status: response.status,
    body: await response.json(),
  });
  try {
    await use({
      app,
      services,
      client: new OpenAI({
        apiKey: "none",
        baseURL: "http://localhost/v1",
        maxRetries: 0,
        fetch: async (input, init) => await app.request(input as string, init),
      }),
      file(purpose = "fine-tune") {
        const id = newId("file");
        store.files.insert({
          id,
          filename: "data.jsonl",
          purpose,
          bytes: 10,
          lines: 1,
          contents: { chat: 1, completion: 0, text: 0 },
          createdAt: 1,
        });
        return id;
      },
      post: async (path, body) =>
        await answered(
          await app.request(path, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(body),
          }),
        ),
      get: async (path) => await answered(await app.request(path)),
    });
  } finally {
    services.close();
  }
}

function fakeModels(models: readonly ModelRecord[]): Models {
  return {
    list: () => Promise.resolve([...models]),
    get(name) {
      const model = models.find((each) => each.name === name);
      if (model) return Promise.resolve(model);
      const message = `The model \`${name}\` does not exist`;
      throw new ApiError(404, { message, param: "model", code: "model_not_found" });
    },
    delete: () => Promise.reject(new Error("not here")),
  };
}

function fakeJobs(store: Store): Jobs {
  const set = (id: string, status: JobRecord["status"]) => store.jobs.update(id, { status });
  return {
    start() {},
    create(job: NewJob, warnings: readonly string[] = []): JobRecord {
      const record: JobRecord = {
        ...job,
        id: newId(job.kind === "fine_tuning" ? "ftjob" : "ptjob"),
        status: "queued",
        createdAt: 1_700_000_000,
        turn: store.jobs.nextTurn(),
        resultFiles: [],
      };
      store.jobs.insert(record);
      for (const each of warnings) store.events.append(record.id, warning(each), 1_700_000_000);
      return record;
    },
    cancel: (id) => set(id, "cancelled"),
    pause: (id) => set(id, "paused"),
    resume: (id) => set(id, "queued"),
    preparation: (id) =>
      store.jobs.status(id) === "running" ? { what: "loading weights", share: 0.5 } : undefined,
    activity: (id) =>
      store.jobs.status(id) === "running" ? { phase: "evaluating", step: 4, done: 2 } : undefined,
    stop: () => Promise.resolve(),
  };
}

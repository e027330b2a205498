/**
 * Document and answers agree: each operation gives each of the statuses that the document names, and
 * each answer is a value of its schema, by a validator that is not ours.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { DiskFullError } from "../../../src/files/disk_error.ts";
import { ApiError } from "../../../src/server/api_error.ts";
import { createServer } from "../../../src/server/http/app.ts";
import type { OpenApiDocument, Operation } from "../../../src/server/http/openapi_types.ts";
import { EventStreams } from "../../../src/server/events/event_stream.ts";
import { ModelFolder } from "../../../src/server/models/model_folder.ts";
import { serverOptions } from "../../../src/server/options.ts";
import { resultModelName } from "../../../src/server/protocol/job.ts";
import type { Inference, Services } from "../../../src/server/services.ts";
import { DataFolder } from "../../../src/server/storage/data_folder.ts";
import { writeChatModel } from "../../inference/support.ts";
import { type JobsApi, withJobsApi } from "../jobs_api/support.ts";
import { Contract } from "./support_openapi.ts";

type App = ReturnType<typeof createServer>;

interface Call {
  readonly path: string;
  readonly method: string;
  readonly operation: string;
}

const LINE = JSON.stringify({
  messages: [{ role: "user", content: "Hello" }, { role: "assistant", content: "Good day" }],
});

const json = (body: unknown): RequestInit => ({
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

function form(content: BlobPart, fields: Record<string, string> = {}): RequestInit {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  body.set("file", new File([content], "data.jsonl"));
  return { body };
}

/** An answer of one word; a model named `none` is unknown, one named `busy` has no memory. */
const inference = {
  async *generate({ model }: { model: string }) {
    await Promise.resolve();
    if (model === "none") throw new ApiError(404, { message: "unknown", code: "model_not_found" });
    if (model === "busy") throw new ApiError(503, { message: "full", code: "insufficient_memory" });
    yield { type: "text", text: "Mars" };
    yield { type: "done", finishReason: "stop", promptTokens: 3, completionTokens: 1 };
  },
  loaded: undefined,
} as unknown as Inference;

class Walk {
  readonly contract: Contract;

  constructor(readonly app: App, document: OpenApiDocument) {
    this.contract = new Contract(document);
  }

  /** Sends a request, whose answer must have this status and be as documented. */
  async send(
    operation: string,
    status: number,
    path: string,
    init: RequestInit = {},
    app: App = this.app,
  ): Promise<Record<string, unknown>> {
    const method = this.calls().find((call) => call.operation === operation)!.method;
    const answer = await app.request(path, { ...init, method });
    const { headers } = answer, body = await textOf(answer);
    if (status === 200) this.contract.holdRequest(operation, init.body);
    assertEquals(answer.status, status, `${operation} ${path}: ${body.slice(0, 500)}`);
    this.contract.hold({ operation, status, headers, body });
    return headers.get("content-type") === "application/json" ? JSON.parse(body) : {};
  }

  /** All operations, with the path as a template. */
  calls(): Call[] {
    return Object.entries(this.contract.document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { operationId }]) => ({
        path,
        method: method.toUpperCase(),
        operation: operationId!,
      }))
    );
  }
}

/** Of a stream that stays open, its first piece. */
async function textOf(answer: Response): Promise<string> {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  const isOpen = answer.headers.get("content-type")?.startsWith("text/event-stream");
  let text = "";
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
    if (isOpen && !text.includes("[DONE]") && text.endsWith("\n\n") && text.includes("data:")) {
      await reader.cancel();
      break;
    }
  }
  return text;
}

async function withWalk(
  use: (
    walk: Walk,
    api: JobsApi,
    server: (options: Record<string, unknown>) => App,
  ) => Promise<void> | void,
) {
  const root = await Deno.makeTempDir({ prefix: "openapi-" });
  try {
    const modelsFolder = join(root, "models");
    await writeChatModel(join(modelsFolder, "tiny"));
    const storage = await DataFolder.open(join(root, "data"));
    await withJobsApi({}, async (api) => {
      const { store } = api.services;
      const models = new ModelFolder({
        options: { modelsFolder },
        store,
        storage,
        inference: () => inference,
      });
      const streams = new EventStreams({ store, log: api.services.log });
      const services: Services = { ...api.services, storage, models, inference, streams };
      const server = (options: Record<string, unknown>) =>
        createServer({ ...services, options: serverOptions.parseUnknown(options) });
      const app = server({ gpuMemory: 8 });
      const document = await (await app.request("/openapi.json")).json();
      try {
        await use(new Walk(app, document), { ...api, services }, server);
      } finally {
        await streams.close();
      }
    });
    storage.close();
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Creates a job of each kind, with events, and takes it through its life. */
async function walkJobs(walk: Walk, { services: { store, storage } }: JobsApi) {
  const upload = async (content: string, purpose: string) =>
    (await walk.send("createFile", 200, "/v1/files", form(content, { purpose }))).id as string;
  const file = await upload(LINE, "fine-tune");
  const text = await upload('{"text": "A text to train on."}', "pretrain");
  const kinds = [
    ["FineTuning", "fine_tuning", { model: "tiny", training_file: file, suffix: "mine" }],
    ["Pretraining", "pretraining", { model: "llama_nano", training_files: [text] }],
  ] as const;
  const ids: string[] = [];
  for (const [kind, path, request] of kinds) {
    const jobs = `/v1/${path}/jobs`, name = `${kind}Job`;
    const body = json({ ...request, metadata: { team: "a" }, hyperparameters: { seq_len: 64 } });
    await walk.send(`plan${name}`, 200, `/v1/${path}/plan`, body);
    const id = (await walk.send(`create${name}`, 200, jobs, body)).id as string;
    ids.push(id);
    addEvents(store, id);
    await walk.send(`retrieve${name}Report`, 404, `${jobs}/${id}/report`);
    await Deno.mkdir(storage.jobFolder(id), { recursive: true });
    await Deno.writeTextFile(join(storage.jobFolder(id), "metrics.jsonl"), '{"step":1,"loss":2}\n');
    const list = kind === "FineTuning" ? "listPaginatedFineTuningJobs" : "listPretrainingJobs";
    await walk.send(list, 200, `${jobs}?metadata[team]=a`);
    await walk.send(list, 404, `${jobs}?after=ftjob-none`);
    await walk.send(list, 400, `${jobs}?limit=0`);
    await walk.send(`retrieve${name}`, 200, `${jobs}/${id}`);
    for (const action of ["pause", "resume", "cancel"]) {
      await walk.send(`${action}${name}`, 200, `${jobs}/${id}/${action}`);
      await walk.send(`${action}${name}`, 404, `${jobs}/none/${action}`);
    }
    store.jobs.update(id, { status: "running" });
    await walk.send(`retrieve${name}`, 200, `${jobs}/${id}`);
    store.jobs.update(id, { status: "failed", error: { code: "x", message: "y" } });
    await walk.send(`retrieve${name}`, 200, `${jobs}/${id}`);
    for (
      const [operation, below] of [
        [`retrieve${name}`, ""],
        [`list${name}Checkpoints`, "/checkpoints"],
        [`retrieve${name}Metrics`, "/metrics"],
        [`retrieve${name}Report`, "/report"],
        [`list${kind}Events`, "/events"],
        [`stream${name}Metrics`, "/metrics/stream"],
      ]
    ) {
      await walk.send(operation, 200, `${jobs}/${id}${below}`);
      await walk.send(operation, 404, `${jobs}/none${below}`);
      await walk.send(operation, 400, `${jobs}/${"x".repeat(101)}${below}`);
    }
    await walk.send(`list${kind}Events`, 200, `${jobs}/${id}/events?stream=true`);
    const last = { headers: { "last-event-id": String(store.events.lastSeq()) } };
    await walk.send(`list${kind}Events`, 204, `${jobs}/${id}/events?stream=true`, last);
    await walk.send(`stream${name}Metrics`, 204, `${jobs}/${id}/metrics/stream`, last);
    await walk.send(`create${name}`, 404, jobs, json({ ...request, ...UNKNOWN[path] }));
    await walk.send(`plan${name}`, 404, `/v1/${path}/plan`, json({ ...request, ...UNKNOWN[path] }));
  }
  await walk.send("streamEvents", 200, "/metrics/stream?after=0");
  await walk.send("streamEvents", 400, "/metrics/stream?after=x");
  return { file, ids };
}

const UNKNOWN = {
  fine_tuning: { training_file: "file-none" },
  pretraining: { training_files: ["file-none"] },
} as const;

function addEvents({ events, checkpoints }: Services["store"], id: string) {
  const data = { step: 1, total_steps: 9, train_loss: 2, lr: 0.1, valid_loss: 3, refreshed: ["a"] };
  const event = { level: "info", message: "" } as const;
  events.append(
    id,
    { ...event, key: "plan", type: "message", data: { kind: "plan", steps: 9 } },
    1,
  );
  events.append(id, { ...event, key: "step:1", type: "metrics", data }, 1);
  const sample = { kind: "sample", step: 1, prompt: "Hi", text: "there" };
  events.append(id, { ...event, key: "sample:1:0", type: "message", data: sample }, 1);
  const metrics = { train_loss: 2 };
  checkpoints.insert({ id: `ftckpt-${id}`, jobId: id, step: 1, createdAt: 1, metrics });
}

async function walkFiles(walk: Walk, { services: { store } }: JobsApi, file: string, job: string) {
  await walk.send("listFiles", 200, "/v1/files");
  await walk.send("listFiles", 404, "/v1/files?after=none");
  await walk.send("listFiles", 400, "/v1/files?limit=x");
  const expiring = form(LINE, {
    purpose: "fine-tune",
    "expires_after[anchor]": "created_at",
    "expires_after[seconds]": "3600",
  });
  const { id } = await walk.send("createFile", 200, "/v1/files", expiring);
  for (const [operation, below] of [["retrieveFile", ""], ["downloadFile", "/content"]]) {
    await walk.send(operation, 200, `/v1/files/${id}${below}`);
    await walk.send(operation, 404, `/v1/files/none${below}`);
  }
  store.jobs.update(job, { status: "queued" });
  await walk.send("deleteFile", 409, `/v1/files/${file}`);
  await walk.send("deleteFile", 200, `/v1/files/${id}`);
  await walk.send("deleteFile", 404, `/v1/files/${id}`);
}

async function walkModels(walk: Walk, { services: { store } }: JobsApi, job: string) {
  const result = resultModelName(store.jobs.get(job)!);
  store.jobs.update(job, { status: "succeeded", resultModel: result, finishedAt: 2 });
  await walk.send("listModels", 200, "/v1/models");
  await walk.send("retrieveFineTuningJob", 200, `/v1/fine_tuning/jobs/${job}`);
  for (const name of ["tiny", result]) await walk.send("retrieveModel", 200, `/v1/models/${name}`);
  await walk.send("retrieveModel", 404, "/v1/models/none");
  const training = { id: "ftjob-2", status: "queued", model: result, turn: 99 } as const;
  store.jobs.insert({ ...store.jobs.get(job)!, ...training, resultModel: undefined });
  await walk.send("deleteModel", 409, `/v1/models/${result}`);
  store.jobs.update("ftjob-2", { status: "cancelled" });
  await walk.send("deleteModel", 403, "/v1/models/tiny");
  await walk.send("deleteModel", 200, `/v1/models/${result}`);
  await walk.send("deleteModel", 404, `/v1/models/${result}`);
}

async function walkAnswers(walk: Walk) {
  for (
    const [operation, path, prompt] of [
      ["createChatCompletion", "/v1/chat/completions", {
        messages: [{ role: "user", content: "Hello" }],
      }],
      ["createCompletion", "/v1/completions", { prompt: "Hello", echo: true }],
    ] as const
  ) {
    await walk.send(operation, 200, path, json({ model: "tiny", ...prompt }));
    const stream = { stream: true, stream_options: { include_usage: true } };
    await walk.send(operation, 200, path, json({ model: "tiny", ...prompt, ...stream }));
    await walk.send(operation, 404, path, json({ model: "none", ...prompt }));
    await walk.send(operation, 503, path, json({ model: "busy", ...prompt }));
  }
}

/** What every request passes before its route. */
async function walkMiddleware(
  walk: Walk,
  store: Services["store"],
  server: (options: Record<string, unknown>) => App,
) {
  const limited = server({ rateLimit: 1 }), small = server({ maxBody: 1, maxUpload: 1 });
  await limited.request("/health");
  const nested = "[".repeat(100) + "]".repeat(100);
  const typed = (type: string, body: string) => ({ headers: { "content-type": type }, body });
  for (const { operation, path, method } of walk.calls()) {
    const at = path.replace("{id}", "x").replace("{model}", "x");
    await walk.send(operation, 403, at, { headers: { origin: "https://evil.example" } });
    await walk.send(operation, 429, at, {}, limited);
    if (method === "GET") continue;
    const isUpload = operation === "createFile";
    await walk.send(operation, 415, at, typed("text/plain", "x"));
    await walk.send(operation, 400, at, isUpload ? form("{") : typed("application/json", nested));
    const large = "x".repeat(isUpload ? 2 ** 21 : 2000);
    const body = isUpload ? form(large, { purpose: "fine-tune" }) : json(large);
    await walk.send(operation, 413, at, body, small);
  }
  store.keys.create("laptop");
  for (const { operation, path } of walk.calls()) {
    if (path === "/health") continue;
    const at = path.replace("{id}", "x").replace("{model}", "x");
    // Another server, because one soon refuses an address with wrong keys.
    await walk.send(operation, 401, at, {}, server({}));
  }
}

/** What a fault below the routes gives. */
async function walkFaults(walk: Walk, services: Services) {
  const faults = [[500, new Error("a fault")], [507, new DiskFullError("no room")]] as const;
  for (const { operation, path } of walk.calls()) {
    for (const [status, error] of faults) {
      const keys = {
        ...services.store.keys,
        anyActive() {
          throw error;
        },
      };
      const store = new Proxy(services.store, {
        get: (whole, name) => name === "keys" ? keys : Reflect.get(whole, name),
      });
      const app = createServer({ ...services, store });
      await walk.send(operation, status, path, {}, app);
    }
  }
}

/** It needs half a minute of silence. */
const NOT_HERE = [408];

Deno.test("every operation gives the statuses of the document, with the answers of its schemas", async () => {
  await withWalk(async (walk, api, server) => {
    const { file, ids } = await walkJobs(walk, api);
    await walkFiles(walk, api, file, ids[0]);
    await walkModels(walk, api, ids[0]);
    await walkAnswers(walk);
    await walk.send("retrieveMetrics", 200, "/metrics");
    await walk.send("checkHealth", 200, "/health");
    await walk.send("listWorkers", 200, "/v1/workers");
    await walkMiddleware(walk, api.services.store, server);
    await walkFaults(walk, api.services);
    const { contract } = walk;
    for (const { operation } of walk.calls()) {
      const missing = contract.statusesOf(operation).filter((status) =>
        !NOT_HERE.includes(status) && !contract.seen.get(operation)?.has(status)
      );
      assertEquals(missing, [], operation);
    }
    assert(contract.checkExamples() > 10);
  });
});

Deno.test("every operation has a name of its own, a summary, a known tag, and its errors", async () => {
  await withWalk(({ contract: { document } }) => {
    const operations = Object.values(document.paths).flatMap((each): Operation[] =>
      Object.values(each)
    );
    const names = operations.map(({ operationId }) => operationId);
    assertEquals(new Set(names).size, operations.length);
    assert(names.every((name) => /^[a-z][A-Za-z]+$/.test(name ?? "")), names.join());
    // As OpenAI's own document names them.
    for (const name of OPENAI_NAMES) assert(names.includes(name), name);
    const tags = document.tags!.map(({ name }) => name);
    for (const { summary, tags: [tag] = [], responses } of operations) {
      assert(summary && tags.includes(tag), `${summary}: ${tag}`);
      assert(Object.keys(responses).length > 3);
    }
  });
});

Deno.test("no field of a body has a default that generated clients would send", async () => {
  await withWalk(({ contract: { document } }) => {
    const schemas = JSON.stringify(document.components.schemas);
    assert(!schemas.includes('"default":'));
    assert(schemas.includes('"x-default":8'), "LoRA's rank, for people");
  });
});

const OPENAI_NAMES = [
  "createFile",
  "listFiles",
  "retrieveFile",
  "deleteFile",
  "downloadFile",
  "createFineTuningJob",
  "listPaginatedFineTuningJobs",
  "retrieveFineTuningJob",
  "cancelFineTuningJob",
  "pauseFineTuningJob",
  "resumeFineTuningJob",
  "listFineTuningEvents",
  "listFineTuningJobCheckpoints",
  "listModels",
  "retrieveModel",
  "deleteModel",
  "createChatCompletion",
  "createCompletion",
];

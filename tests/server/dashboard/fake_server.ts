/**
 * The API with fake jobs, to view and test the dashboard without a GPU: a running job, others in
 * every state, models that answer. `deno run -A` this file and open the address.
 *
 * @module
 */
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { securityHeaders } from "../../../src/server/http/middleware/security_headers.ts";
import { dashboardRoutes } from "../../../src/server/http/routes/dashboard.ts";
import { FakeJobs } from "./fake_jobs.ts";
import { fakeDocument, fakePlan, WITHOUT_TEMPLATE } from "./fake_plan.ts";

export interface FakeOptions {
  /** Milliseconds per step. */
  readonly pace?: number;
  /** Steps that the running job has done, of twice as many. */
  readonly steps?: number;
  /** Start empty: no models, jobs or files. */
  readonly empty?: boolean;
  /** Further jobs in every state, with long names. */
  readonly crowd?: number;
  /** Seconds that the server's clock is ahead of the browser's. */
  readonly ahead?: number;
  /** Workers: one by default. */
  readonly workers?: number;
  /** Requests need this key. */
  readonly key?: string;
}

export interface FakeServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly jobs: FakeJobs;
}

const page = (data: readonly { id: string }[]) => ({
  object: "list",
  data,
  has_more: false,
  first_id: data[0]?.id ?? null,
  last_id: data.at(-1)?.id ?? null,
});

function refusal(message: string, param: string | null = null, code = "invalid_value") {
  return { error: { message, type: "invalid_request_error", param, code } };
}

const DISK_FULL = {
  error: {
    message:
      "The data folder's disk is full: 12 MiB are free. Delete files or models to make room.",
    type: "server_error",
    param: null,
    code: "disk_full",
  },
};

/** Newest first, as the API lists them. */
const fakeFiles = (crowd: number) => [
  ...Array.from({ length: crowd }, (_, i) => fakeFile(`crowd${i}`, `run-${i}.jsonl`, 1000)),
  fakeFile("poems", "poems.jsonl", 482_133),
  fakeFile("book", "the-whole-book.txt", 2_400_000_000, "pretrain"),
  fakeFile("metrics", "step_metrics_ftjob-done.csv", 9_120, "fine-tune-results"),
];

const fakeFile = (id: string, filename: string, bytes: number, purpose = "fine-tune") => ({
  id: `file-${id}`,
  object: "file",
  filename,
  bytes,
  purpose,
  created_at: 1_780_000_000,
});

export function fakeServer(
  { pace = 120, steps = 612, empty = false, crowd = 0, ahead = 0, workers = 1, key, port = 0 }:
    & FakeOptions
    & { port?: number } = {},
): FakeServer {
  const jobs = new FakeJobs({ pace, steps, empty, crowd, ahead });
  if (workers > 2) jobs.runOnTwo();
  const files = empty ? [] : fakeFiles(crowd);
  let uploads = 0;
  const app = new Hono();
  app.use(securityHeaders());
  app.use(async (context, next) => {
    context.header("date", new Date(Date.now() + 1000 * ahead).toUTCString());
    const open = context.req.path === "/" || context.req.path.startsWith("/assets/");
    if (!open && key && context.req.header("authorization") !== `Bearer ${key}`) {
      return context.json(refusal("Incorrect API key provided.", null, "invalid_api_key"), 401);
    }
    await next();
  });
  app.route("/", dashboardRoutes());
  app.get("/openapi.json", (context) => context.json(fakeDocument()));
  app.get("/v1/models", (context) => context.json(page(jobs.models())));
  app.get("/v1/workers", (context) => context.json(page(jobs.workers(workers))));
  app.delete("/v1/models/:id", (context) => {
    const { id } = context.req.param();
    const answer = jobs.deleteModel(id);
    return "error" in answer ? context.json(answer, 409) : context.json(answer);
  });
  app.get("/v1/files", (context) => {
    const { after, limit = "10000" } = context.req.query();
    const first = files.findIndex(({ id }) => id === after) + 1;
    const data = files.slice(first, first + Number(limit));
    return context.json({ ...page(data), has_more: files.length > first + data.length });
  });
  app.delete("/v1/files/:id", (context) => {
    const { id } = context.req.param();
    const index = files.findIndex((file) => file.id === id);
    if (index < 0) return context.json(refusal("No such file", "id", "not_found"), 404);
    const users = jobs.unfinishedWith(id);
    if (users.length) {
      const message = `File ${id} is in use by ${
        users.join(", ")
      }: cancel it or wait until it ends`;
      return context.json(refusal(message, "id", "file_in_use"), 409);
    }
    files.splice(index, 1);
    return context.json({ id, object: "file", deleted: true });
  });
  app.get("/v1/files/:id/content", (context) => {
    const file = files.find(({ id }) => id === context.req.param("id"));
    return file
      ? context.text(`the bytes of ${file.filename}`)
      : context.json(refusal("No such file", "id", "not_found"), 404);
  });
  app.get("/v1/files/:id", (context) => {
    const file = files.find(({ id }) => id === context.req.param("id"));
    return file
      ? context.json(file)
      : context.json(refusal("No such file", "id", "not_found"), 404);
  });
  app.post("/v1/files", async (context) => {
    const form = await context.req.formData();
    const file = form.get("file") as File;
    if (file.name === "too-much.jsonl") return context.json(DISK_FULL, 507);
    const lines = (await file.text()).trim().split("\n");
    const bad = lines.findIndex((line) => {
      try {
        return typeof JSON.parse(line) !== "object";
      } catch {
        return true;
      }
    });
    if (bad >= 0) return context.json(refusal(`line ${bad + 1}: is no JSON: ${lines[bad]}`), 400);
    const record = {
      ...files[0],
      id: `file-${++uploads}`,
      object: "file",
      filename: file.name,
      bytes: file.size,
      purpose: String(form.get("purpose")),
      created_at: Math.floor(Date.now() / 1000) + ahead,
    };
    files.unshift(record);
    return context.json(record);
  });
  app.post("/v1/fine_tuning/plan", async (context) => {
    const answer = fakePlan(await context.req.json());
    return "error" in answer ? context.json(answer, 400) : context.json(answer);
  });
  app.get("/v1/:kind/jobs", (context) => context.json(page(jobs.list(context.req.param("kind")))));
  app.post("/v1/fine_tuning/jobs", async (context) => {
    const body = await context.req.json();
    if (!body.training_file) {
      return context.json(refusal("training_file: is required", "training_file"), 400);
    }
    const plan = fakePlan(body);
    if ("error" in plan) return context.json(plan, 400);
    if (body.suffix === "too-much") return context.json(DISK_FULL, 507);
    return context.json(jobs.create(body, plan));
  });
  app.get("/v1/:kind/jobs/:id", (context) => {
    const job = jobs.get(context.req.param("id"));
    return job ? context.json(job) : context.json(refusal("No such job", "id", "not_found"), 404);
  });
  app.get("/v1/:kind/jobs/:id/events", (context) => {
    const after = context.req.query("after");
    const events = jobs.eventsOf(context.req.param("id")).toReversed();
    const first = after ? events.findIndex(({ id }) => id === after) + 1 : 0;
    const data = events.slice(first, first + 100);
    return context.json({ ...page(data), has_more: events.length > first + 100 });
  });
  app.get("/v1/:kind/jobs/:id/metrics", (context) => {
    return context.json(jobs.metricsOf(context.req.param("id")));
  });
  app.get("/v1/:kind/jobs/:id/report", (context) => context.html("<h1>A report</h1>"));
  app.get("/v1/:kind/jobs/:id/checkpoints", (context) => {
    return context.json(page(jobs.checkpointsOf(context.req.param("id"))));
  });
  app.post("/v1/:kind/jobs/:id/:action", (context) => {
    const { id, action } = context.req.param();
    return context.json(jobs.act(id, action));
  });
  app.get("/metrics/stream", (context) =>
    streamSSE(context, async (stream) => {
      const last = Number(context.req.header("last-event-id") ?? jobs.lastSeq);
      for await (const event of jobs.follow(last, stream)) {
        await stream.writeSSE({
          id: event.id.replace("ftevent-", ""),
          data: JSON.stringify(event),
        });
      }
    }));
  app.post("/v1/chat/completions", async (context) => {
    const { model, messages, max_tokens = 256 } = await context.req.json();
    if (model === WITHOUT_TEMPLATE) {
      const message = `model ${model}: the model has no chat template, which a chat needs`;
      return context.json(refusal(message, "model", "missing_chat_template"), 400);
    }
    const said = messages.at(-1).content as string;
    const words =
      `You said “${said}”. A calm loss curve is a long walk downhill: steep at first, ` +
      "then flat enough to talk. Ask me again in a hundred steps.\n\n<b>This</b> is no markup.";
    const tokens = words.match(/\s*\S+/g)!.slice(0, max_tokens);
    return streamSSE(context, async (stream) => {
      for (const content of tokens) {
        if (stream.aborted) return;
        await stream.writeSSE({ data: JSON.stringify({ choices: [{ delta: { content } }] }) });
        await stream.sleep(pace / 3);
      }
      const finish_reason = tokens.length === max_tokens ? "length" : "stop";
      await stream.writeSSE({ data: JSON.stringify({ choices: [{ delta: {}, finish_reason }] }) });
      const usage = { completion_tokens: tokens.length };
      await stream.writeSSE({ data: JSON.stringify({ choices: [], usage }) });
      await stream.writeSSE({ data: "[DONE]" });
    });
  });
  app.post("/v1/completions", async (context) => {
    const { max_tokens = 256 } = await context.req.json();
    const words = ", a loss went for a walk. It came back lower every evening, and one night not " +
      "at all: <i>the end</i>.";
    const tokens = words.match(/\s*\S+/g)!.slice(0, max_tokens);
    return streamSSE(context, async (stream) => {
      for (const text of tokens) {
        if (stream.aborted) return;
        await stream.writeSSE({ data: JSON.stringify({ choices: [{ text }] }) });
        await stream.sleep(pace / 3);
      }
      await stream.writeSSE({ data: JSON.stringify({ choices: [{ finish_reason: "stop" }] }) });
      const usage = { completion_tokens: tokens.length };
      await stream.writeSSE({ data: JSON.stringify({ choices: [], usage }) });
      await stream.writeSSE({ data: "[DONE]" });
    });
  });
  const server = Deno.serve({ port, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    port: server.addr.port,
    jobs,
    async [Symbol.asyncDispose]() {
      jobs.stop();
      await server.shutdown();
    },
  };
}

if (import.meta.main) {
  const [port = "8111", kind] = Deno.args;
  console.log(fakeServer({ port: Number(port), empty: kind === "empty" }).url);
}

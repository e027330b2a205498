/**
 * A job from upload to a chat with its result, by the client that openapi-typescript and
 * openapi-fetch make of the server's document: every request and answer is typed by it.
 *
 *     generated_client.mts <server's URL>
 */
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./api.d.ts";

const [url] = Deno.args;
const client = createClient<paths>({ baseUrl: url });
const ids: string[] = [];
const recordIds: Middleware = {
  onResponse: ({ response }) => void ids.push(response.headers.get("x-request-id") ?? ""),
};
client.use(recordIds);

type Job = components["schemas"]["FineTuningJob"];
type Failure = components["schemas"]["ErrorResponse"];

/** The answer, which is an error's or the operation's. */
function good<Data>(
  what: string,
  { data, error, response }: { data?: Data; error?: Failure; response: Response },
): Data {
  if (error || data === undefined) {
    throw new Error(`${what}: ${response.status} ${error?.error.message}`);
  }
  console.log(`  ${what}: ${response.status}`);
  return data;
}

/** Operations that can stream have a text as well. */
function whole<Data>(data: Data | string): Data {
  if (typeof data === "string") throw new Error(`a stream: ${data}`);
  return data;
}

const form = new FormData();
const dialogue = [{ role: "user", content: "Which planet is red?" }, {
  role: "assistant",
  content: "Mars is.",
}];
form.set("purpose", "fine-tune");
form.set("file", new File([(JSON.stringify({ messages: dialogue }) + "\n").repeat(12)], "a.jsonl"));
const file = good(
  "createFile",
  await client.POST("/v1/files", {
    body: { file: "", purpose: "fine-tune" },
    bodySerializer: () => form,
  }),
);
const id: string = file.id;
good("retrieveFile", await client.GET("/v1/files/{id}", { params: { path: { id } } }));
const files = good("listFiles", await client.GET("/v1/files", { params: { query: { limit: 5 } } }));
if (!files.data.some((each) => each.id === id)) throw new Error("the file is not listed");
const content = await client.GET("/v1/files/{id}/content", {
  params: { path: { id } },
  parseAs: "blob",
});
if ((good("downloadFile", content) as Blob).size !== file.bytes) throw new Error("other bytes");

const request: components["schemas"]["CreateFineTuningJob"] = {
  model: "tiny",
  training_file: id,
  suffix: null,
  method: {
    type: "supervised",
    supervised: {
      hyperparameters: {
        n_epochs: 1,
        batch_size: 2,
        optimizer: "adamw",
        seq_len: 64,
        packing: false,
        eval_share: 0,
        save_every: 2,
      },
    },
  },
};
const plan = good(
  "planFineTuningJob",
  await client.POST("/v1/fine_tuning/plan", { body: request }),
);
if (!plan.fits) throw new Error("it does not fit");
let job: Job = good(
  "createFineTuningJob",
  await client.POST("/v1/fine_tuning/jobs", { body: request }),
);
const path = { id: job.id };
const stream = await client.GET("/v1/fine_tuning/jobs/{id}/events", {
  params: { path, query: { stream: "true" } },
  parseAs: "text",
});
const text: string = good("listFineTuningEvents, streamed", stream) as string;
if (!text.trimEnd().endsWith("data: [DONE]")) {
  throw new Error(`the stream ends: ${text.slice(-99)}`);
}
job = good(
  "retrieveFineTuningJob",
  await client.GET("/v1/fine_tuning/jobs/{id}", { params: { path } }),
);
const result: string | null = job.fine_tuned_model;
if (job.status !== "succeeded" || result === null) throw new Error(JSON.stringify(job.error));
const events = whole(good(
  "listFineTuningEvents",
  await client.GET("/v1/fine_tuning/jobs/{id}/events", { params: { path } }),
));
const newest: string | undefined = events.data[0]?.message;
if (!newest?.includes("completed")) throw new Error(`the newest event is ${newest}`);
const checkpoints = good(
  "listFineTuningJobCheckpoints",
  await client.GET("/v1/fine_tuning/jobs/{id}/checkpoints", { params: { path } }),
);
const steps: number[] = checkpoints.data.map(({ step_number }) => step_number);
if (!steps.length) throw new Error("no checkpoints");
const curves = good(
  "retrieveFineTuningJobMetrics",
  await client.GET("/v1/fine_tuning/jobs/{id}/metrics", { params: { path } }),
);
if (curves.steps.length < 2) throw new Error("no curves");
const listed = good(
  "listPaginatedFineTuningJobs",
  await client.GET("/v1/fine_tuning/jobs", { params: { query: { limit: 1 } } }),
);
if (listed.data[0].id !== job.id) throw new Error("another job is listed");

const models = good("listModels", await client.GET("/v1/models"));
if (!models.data.some((each) => each.id === result)) throw new Error("the result is not listed");
good(
  "retrieveModel",
  await client.GET("/v1/models/{model}", { params: { path: { model: result } } }),
);
const chat = whole(good(
  "createChatCompletion",
  await client.POST("/v1/chat/completions", {
    body: {
      model: result,
      messages: [{ role: "user", content: "Which planet is red?" }],
      max_tokens: 4,
    },
  }),
));
const said: string = chat.choices[0].message.content;
const used: number = chat.usage.completion_tokens;
if (typeof said !== "string" || used < 1) throw new Error(JSON.stringify(chat));
const pieces = await client.POST("/v1/chat/completions", {
  body: {
    model: result,
    messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
    max_tokens: 4,
    stream: true,
  },
  parseAs: "text",
});
if (!String(good("createChatCompletion, streamed", pieces)).includes("[DONE]")) throw new Error();
const completion = whole(good(
  "createCompletion",
  await client.POST("/v1/completions", { body: { model: result, prompt: "Mars", max_tokens: 4 } }),
));
const tokens: number | undefined = completion.usage?.total_tokens;
if (!tokens) throw new Error(JSON.stringify(completion));

const unknown = await client.GET("/v1/files/{id}", { params: { path: { id: "none" } } });
const code: string | null | undefined = unknown.error?.error.code;
if (unknown.response.status !== 404 || code !== "not_found") throw new Error(String(code));
console.log("  retrieveFile, of a file that is not there: 404");
good(
  "deleteModel",
  await client.DELETE("/v1/models/{model}", { params: { path: { model: result } } }),
);
good("deleteFile", await client.DELETE("/v1/files/{id}", { params: { path: { id } } }));
if (ids.some((each) => !each.startsWith("req_"))) throw new Error("an answer without an id");

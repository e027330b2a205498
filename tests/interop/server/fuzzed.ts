/**
 * Requests that schemathesis makes from the OpenAPI document, with all of its checks: no answer is a
 * fault of the server, every answer is as documented, what the document allows is accepted, and what
 * it forbids is refused. Twice: from the document as it is, and from one that names only files, jobs
 * and models that exist, so that requests reach the routes.
 *
 *     PYTHON=<python> deno run -A --no-check --lock=tests/deno.lock tests/interop/server/fuzzed.ts <folder>
 *
 * Installs schemathesis from PyPI into the folder. The same requests each time, some 3 minutes.
 */
import { join } from "@std/path";
import { attempt, pythonPackages } from "./packages.ts";
import {
  Api,
  createJob,
  emptyFolder,
  jobPath,
  startServer,
  tinyModels,
  until,
  uploadData,
} from "./support.ts";

/** What schemathesis finds and the server means, by check and operation. */
const EXPLAINED: readonly (readonly [check: string, operations: RegExp, reason: string])[] = [
  [
    "AcceptedNegativeData",
    /^(GET |Stateful tests$)/,
    "an unknown or repeated query parameter has no effect, as clients and proxies may add their own",
  ],
  [
    "RejectedPositiveData",
    /^POST \/v1\/files$/,
    "a file's content decides, which a schema of a form cannot say: 400 names the fault",
  ],
  [
    "RejectedPositiveData",
    /^POST \/v1\/(fine_tuning|pretraining)\/(jobs|plan)$/,
    "hyperparameters depend on each other and on the model: 400 names every fault",
  ],
  [
    "RejectedPositiveData",
    /^POST \/v1\/(fine_tuning|pretraining)\/jobs\/\{id\}\/(cancel|pause|resume)$/,
    "the job's state decides: 400, as OpenAI's API has it",
  ],
];

/** It stays open while the server runs, so that a client that waits for its end waits forever. */
const ENDLESS = "streamEvents";

// deno-lint-ignore no-explicit-any
type Document = any;

const work = await emptyFolder(Deno.args[0]);
const python = await pythonPackages(Deno.env.get("PYTHON") ?? "python3", join(work, "venv"), [
  "schemathesis",
]);
console.log(`schemathesis ${await python.version("schemathesis")}`);
const server = await startServer({
  folder: join(work, "data"),
  modelsFolder: await tinyModels(join(work, "models")),
});
let held = true;
try {
  const document = await (await fetch(`${server.url}/openapi.json`)).json();
  held = await fuzz("the document", document, ["--max-examples=20"]) && held;
  // Fewer, because each takes the time of a job, a plan or an answer.
  const few = ["--max-examples=6", "--phases=examples,fuzzing,stateful"];
  held = await fuzz("the document of what exists", await narrowed(document), few) && held;
} finally {
  await server.stop("SIGKILL");
}
Deno.exit(held ? 0 : 1);

/** Returns whether every finding is explained. */
async function fuzz(what: string, document: Document, bounds: string[]): Promise<boolean> {
  const path = join(work, "openapi.json"), report = join(work, "report.json");
  await Deno.writeTextFile(path, JSON.stringify(document));
  const { text } = await attempt(python.program("schemathesis"), [
    "run",
    path,
    `--url=${server.url}`,
    "--checks=all",
    "--generation-deterministic",
    ...bounds,
    "--continue-on-failure",
    "--suppress-health-check=all",
    `--exclude-operation-id=${ENDLESS}`,
    "--request-timeout=60",
    "--report=json",
    `--report-json-path=${report}`,
  ], { cwd: work });
  await Deno.writeTextFile(join(work, `${what.replaceAll(" ", "_")}.txt`), text);
  const { failures, errors, operations, test_cases } = JSON.parse(await Deno.readTextFile(report));
  console.log(`${what}: ${test_cases.generated} requests to ${operations.tested} operations`);
  let unexplained = 0;
  for (const { type, operations } of failures as { type: string; operations: string[] }[]) {
    for (const operation of operations) {
      const reason = EXPLAINED.find(([check, which]) => check === type && which.test(operation));
      if (!reason) unexplained++;
      console.log(`  ${type} ${operation}: ${reason?.[2] ?? "NOT EXPLAINED"}`);
    }
  }
  for (const { title, count } of errors) console.log(`  error: ${title} (${count})`);
  if (unexplained || errors.length) console.log(text);
  return unexplained === 0 && errors.length === 0;
}

/** With the names of what there is, and requests that take a moment. */
async function narrowed(document: Document): Promise<Document> {
  const api = new Api(server.url), files = await uploadData(api);
  const job = await createJob(api, "fine_tuning", files, { steps: 6, save_every: 3 });
  const other = await createJob(api, "pretraining", files, { steps: 6, save_every: 3 });
  const result = await until(120_000, async () => {
    const states = [await api.get(jobPath(job)), await api.get(jobPath(other))];
    return states.every(({ status }) => status === "succeeded") ? states[0] : undefined;
  });
  if (!result) throw new Error("the jobs did not succeed");
  const only = (...values: unknown[]) => ({ enum: values });
  const { schemas } = document.components;
  const options = {
    steps: only(1, 2),
    seq_len: only(16, 64),
    batch_size: only(1, 2),
    optimizer: only("adamw", "lora", "q_galore_adamw8bit"),
    dtype: only("float32", "bfloat16"),
  };
  for (const name of ["FineTuningHyperparameters", "PretrainingHyperparameters"]) {
    schemas[name].properties = options;
  }
  for (const name of ["CreateFineTuningJob", "PlanFineTuningJob"]) {
    Object.assign(schemas[name].properties, {
      model: only("tiny"),
      training_file: only(files.fine_tuning),
      validation_file: only(files.fine_tuning, null),
    });
  }
  for (const name of ["CreatePretrainingJob", "PlanPretrainingJob"]) {
    Object.assign(schemas[name].properties, {
      model: only("llama_nano"),
      from: only(null),
      tokenizer: only("bytes", null),
      training_file: only(files.pretraining),
      training_files: only(null),
      validation_files: only(null, [files.pretraining]),
    });
  }
  for (const name of ["CreateChatCompletionRequest", "CreateCompletionRequest"]) {
    Object.assign(schemas[name].properties, {
      model: only("tiny"),
      max_tokens: only(1, 3),
      ...(name.includes("Chat") ? { max_completion_tokens: only(1, null) } : undefined),
    });
  }
  // It takes the schema of a stream for that of an event.
  const event = { type: "object", properties: { data: { type: "string" } }, required: ["data"] };
  // Ids in paths, of what the operation is about.
  for (const [path, operations] of Object.entries<Document>(document.paths)) {
    const id = path.includes("files")
      ? files.fine_tuning
      : path.includes("pretraining")
      ? other.id
      : job.id;
    for (const { parameters = [], responses } of Object.values<Document>(operations)) {
      const stream = responses[200].content["text/event-stream"];
      if (stream) stream.schema = event;
      for (const parameter of parameters) {
        if (parameter.in === "path" && parameter.name === "id") parameter.schema = only(id);
        if (parameter.name === "model") parameter.schema = only("tiny", result.fine_tuned_model);
      }
    }
  }
  return document;
}

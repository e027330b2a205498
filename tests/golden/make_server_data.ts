/**
 * tests/fixtures/server/data-83a0a14: the data folder of an earlier server, with jobs in every
 * state, files, results, checkpoints and keys, and manifest.json, what that server itself answered
 * about all of it in its last moments. It ended by `kill -9`, as did the process that trained.
 *
 *     git worktree add <checkout> 83a0a14
 *     deno run -A --lock=tests/deno.lock tests/golden/make_server_data.ts <checkout>
 *
 * Nothing is left out: the models are tiny. SQLite's log is folded into the database, which it would
 * otherwise outweigh.
 */
import { fromFileUrl, join } from "@std/path";
import { DatabaseSync } from "node:sqlite";
import { writeChatModel } from "../inference/support.ts";
import {
  Api,
  emptyFolder,
  jobPath,
  type Kind,
  pause,
  runKey,
  startServer,
  trainingProcesses,
} from "../interop/server/support.ts";

const [checkout] = Deno.args;
const work = await Deno.makeTempDir();
const fixture = fromFileUrl(new URL("../fixtures/server/data-83a0a14", import.meta.url));
const folder = await emptyFolder(fixture), modelsFolder = join(work, "models");
await writeChatModel(join(modelsFolder, "tiny"));
// Its jobs on dialogues fail as they start.
await writeChatModel(join(modelsFolder, "plain"));
await Deno.remove(join(modelsFolder, "plain", "chat_template.jinja"));

const key = (...args: string[]) => runKey({ checkout, folder }, ...args);

const active = await key("--create", "laptop"), revoked = await key("--create", "lost");
await key("--revoke", revoked.id);
const start = (...more: string[]) =>
  startServer({ checkout, folder, modelsFolder, args: ["--keep-checkpoints", "1", ...more] });
let server = await start(), api = new Api(server.url, active.secret);

const text = "The quick brown fox jumps over the lazy dog, and the dog sleeps on.\n";
const turns = [
  { role: "user", content: "Which planet is red?" },
  { role: "assistant", content: "Mars is." },
];
const files = {
  pretraining: await api.upload("text.txt", text.repeat(40), "pretrain"),
  fine_tuning: await api.upload(
    "planets.jsonl",
    (JSON.stringify({ messages: turns }) + "\n").repeat(20),
    "fine-tune",
  ),
};
await api.upload("unused.txt", "# Not used by any job\n", "pretrain");

const COMMON = { batch_size: 1, seq_len: 32, eval_share: 0.1, eval_every: 5, save_every: 5 };
const HYPERPARAMETERS: Record<Kind, Record<string, unknown>> = {
  pretraining: { ...COMMON, optimizer: "adamw8bit" },
  fine_tuning: { ...COMMON, optimizer: "lora", lora_rank: 2 },
};
const CONFIG = {
  model_type: "llama",
  vocab_size: 257,
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 1,
  max_position_embeddings: 32,
  tie_word_embeddings: true,
};

/** Creates a job; `role` says what becomes of it. */
async function create(
  kind: Kind,
  role: string,
  steps: number,
  { model = "tiny", training_files }: { model?: string; training_files?: string[] } = {},
) {
  const hyperparameters = { ...HYPERPARAMETERS[kind], steps };
  const { id } = await api.post(`/${kind}/jobs`, {
    suffix: role.replaceAll(" ", "-"),
    metadata: { role },
    seed: 7,
    ...(kind === "pretraining"
      ? {
        model: CONFIG,
        training_files: training_files ?? [files.pretraining],
        hyperparameters: { ...hyperparameters, sample_prompt: ["The"], sample_tokens: 4 },
      }
      : {
        model,
        training_file: files.fine_tuning,
        method: { type: "supervised", supervised: { hyperparameters } },
      }),
  });
  return { kind, id };
}

type Job = Awaited<ReturnType<typeof create>>;

async function until(job: Job, is: (answer: { status: string; step: number }) => boolean) {
  for (;;) {
    const { status, progress } = await api.get(jobPath(job));
    if (is({ status, step: progress?.step ?? 0 })) return;
    await pause(5);
  }
}
const becomes = (job: Job, status: string) => until(job, (now) => now.status === status);
const reaches = (job: Job, step: number) => until(job, (now) => now.step >= step);

// Beyond its quota a server pauses a job with the reason; it would delete checkpoints of others.
const full = await create("pretraining", "paused for want of room", 400);
await reaches(full, 6);
await server.stop();
server = await start("--disk-quota", "0.00001");
api = new Api(server.url, active.secret);
await becomes(full, "paused");
await server.stop();
server = await start();
api = new Api(server.url, active.secret);

await becomes(await create("pretraining", "succeeded", 10), "succeeded");
await becomes(await create("fine_tuning", "succeeded", 10), "succeeded");
await becomes(await create("fine_tuning", "failed", 10, { model: "plain" }), "failed");

const cancelled = await create("pretraining", "cancelled", 4000);
const waiting = await create("fine_tuning", "cancelled while queued", 10);
await reaches(cancelled, 6);
await api.post(`${jobPath(waiting)}/cancel`);
await api.post(`${jobPath(cancelled)}/cancel`);
await becomes(cancelled, "cancelled");

const paused = await create("fine_tuning", "paused", 400);
await reaches(paused, 6);
await api.post(`${jobPath(paused)}/pause`);
await becomes(paused, "paused");

const running = await create("pretraining", "running", 60);
await create("fine_tuning", "queued", 10);
await reaches(running, 8);

/** All pages of a list, oldest first. */
async function all(path: string) {
  const found = [];
  for (let after = "";;) {
    const page = await api.get(`${path}?limit=100${after && `&after=${after}`}`);
    found.push(...page.data);
    if (!page.has_more) return found.reverse();
    after = page.data.at(-1).id;
  }
}

async function describe(kind: Kind) {
  return await Promise.all((await all(`/${kind}/jobs`)).map(async (job) => ({
    job,
    events: await all(`/${kind}/jobs/${job.id}/events`),
    checkpoints: await all(`/${kind}/jobs/${job.id}/checkpoints`),
  })));
}

const content = async (id: string) => {
  const headers = { authorization: `Bearer ${active.secret}` };
  const response = await fetch(`${server.url}/v1/files/${id}/content`, { headers });
  const digest = await crypto.subtle.digest("SHA-256", await response.arrayBuffer());
  return new Uint8Array(digest).toHex();
};

const jobs = [...await describe("pretraining"), ...await describe("fine_tuning")];
const manifest = {
  files: await Promise.all(
    (await all("/files")).map(async (file) => ({ file, sha256: await content(file.id) })),
  ),
  jobs,
  models: (await api.get("/models")).data,
  keys: { active, revoked, list: await key("--list") },
};
const children = trainingProcesses(server.process.pid);
// So many files, each of which is looked at, that it is killed before it has seen all of them.
const training_files = Array<string>(100).fill(files.pretraining);
const validating = await create("pretraining", "validating files", 10, { training_files });
server.process.kill("SIGKILL");
for (const pid of children) Deno.kill(pid, "SIGKILL");
await server.stop("SIGKILL");

using db = new DatabaseSync(join(folder, "server.db"));
db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
const { status } = db.prepare("SELECT status FROM jobs WHERE id = ?").get(validating.id)!;
if (status !== "validating_files") throw new Error(`the last job is ${status}: try again`);
const interrupted = db.prepare("SELECT status FROM jobs WHERE id = ?").get(running.id)!;
if (interrupted.status !== "running") throw new Error(`the first job is ${interrupted.status}`);
await Deno.writeTextFile(
  join(folder, "manifest.json"),
  JSON.stringify({ ...manifest, validating }) + "\n",
);
await Deno.remove(work, { recursive: true });

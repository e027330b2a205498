/**
 * A data folder that an earlier server left, killed with jobs in every state: today's server loses
 * nothing of what that one answered (tests/golden/make_server_data.ts), and goes on with the jobs.
 */
import { assert, assertEquals, assertObjectMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Store } from "../../src/server/store/store.ts";
import { writeChatModel } from "../inference/support.ts";
import { startServer, type TestServer } from "./support.ts";

const FIXTURE = fromFileUrl(new URL("../fixtures/server/data-83a0a14", import.meta.url));

type Kind = "pretraining" | "fine_tuning";
// deno-lint-ignore no-explicit-any
type Json = any;

interface Manifest {
  readonly files: readonly { readonly file: Json; readonly sha256: string }[];
  readonly jobs: readonly {
    readonly job: Json;
    /** Oldest first, like the lists of checkpoints and jobs. */
    readonly events: readonly Json[];
    readonly checkpoints: readonly Json[];
  }[];
  readonly models: readonly Json[];
  readonly keys: Readonly<Record<"active" | "revoked", Json>> & { readonly list: readonly Json[] };
  readonly validating: { readonly kind: Kind; readonly id: string };
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if (isDirectory) await copyFolder(source, target);
    else await Deno.copyFile(source, target);
  }
}

/** Requests with a key. */
class Client {
  constructor(readonly server: TestServer, readonly secret: string) {}

  fetch(path: string, method = "GET", body?: object): Promise<Response> {
    const headers = {
      authorization: `Bearer ${this.secret}`,
      "content-type": "application/json",
    };
    const request = { method, headers, body: body && JSON.stringify(body) };
    return fetch(`${this.server.url}/v1${path}`, request);
  }

  async json(path: string, method?: string, body?: object): Promise<Json> {
    const response = await this.fetch(path, method, body);
    const text = await response.text();
    assert(response.ok, `${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  /** All pages, oldest first. */
  async all(path: string): Promise<Json[]> {
    const found: Json[] = [];
    for (let after = "";;) {
      const page = await this.json(`${path}?limit=100${after && `&after=${after}`}`);
      found.push(...page.data);
      if (!page.has_more) return found.reverse();
      after = page.data.at(-1).id;
    }
  }

  async until(path: string, is: (job: Json) => boolean): Promise<Json> {
    for (;;) {
      const job = await this.json(path);
      if (is(job)) return job;
      assert(!["failed", "paused"].includes(job.status), JSON.stringify(job));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const kindOf = ({ object }: Json): Kind => object.replace(".job", "");
const pathOf = (job: Json) => `/${kindOf(job)}/jobs/${job.id}`;
const ENDED = ["succeeded", "failed", "cancelled"];

async function checkFiles(client: Client, { files }: Manifest): Promise<void> {
  const now = await client.all("/files");
  for (const [index, { file, sha256 }] of files.entries()) {
    assertObjectMatch(now[index], file);
    const content = await (await client.fetch(`/files/${file.id}/content`)).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content)).toHex();
    assertEquals(digest, sha256, file.filename);
  }
}

/** Jobs that nothing moves are as they were; of the others what they had is the beginning. */
async function checkJobs(client: Client, { jobs, validating }: Manifest): Promise<void> {
  for (const kind of ["pretraining", "fine_tuning"] as const) {
    const expected = jobs.map(({ job }) => job).filter((job) => kindOf(job) === kind)
      .map(({ id }) => id);
    if (kind === validating.kind) expected.push(validating.id);
    assertEquals((await client.all(`/${kind}/jobs`)).map(({ id }) => id), expected);
  }
  for (const { job, events, checkpoints } of jobs) {
    const now = await client.json(pathOf(job)), moves = ["running", "queued"].includes(job.status);
    const { status: _, progress: _progress, estimated_finish: _finish, ...lasting } = job;
    assertObjectMatch(now, moves ? lasting : job);
    const eventsNow = await client.all(`${pathOf(job)}/events`);
    assertEquals(eventsNow.slice(0, events.length), events);
    if (!moves) {
      assertEquals(eventsNow.length, events.length);
      assertEquals(await client.all(`${pathOf(job)}/checkpoints`), checkpoints);
    }
  }
}

/** All that was not at its end comes to it, each step once. */
async function checkContinuation(
  client: Client,
  { jobs, validating }: Manifest,
): Promise<void> {
  for (const { job } of jobs.filter(({ job }) => job.status === "paused")) {
    await client.json(`${pathOf(job)}/resume`, "POST");
  }
  const path = `/${validating.kind}/jobs/${validating.id}`;
  const waiting = [...jobs.map(({ job }) => pathOf(job)), path];
  for (const path of waiting) {
    const before = await client.json(path);
    if (ENDED.includes(before.status)) continue;
    const paused = jobs.find(({ job }) => job.id === before.id)?.job.status === "paused";
    if (paused) {
      // Hundreds of steps: that it goes on is enough.
      const { step } = before.progress;
      await client.until(path, ({ progress }) => progress.step > step);
      await client.json(`${path}/cancel`, "POST");
      await client.until(path, ({ status }) => status === "cancelled");
    } else await client.until(path, ({ status }) => status === "succeeded");
    const { steps } = await client.json(`${path}/metrics?max_points=5000`);
    const told = steps.map(({ step }: Json) => step);
    assertEquals(told, Array.from(told, (_, index) => index + 1));
    const { progress } = await client.json(path);
    if (!paused) assertEquals(told.length, progress.total_steps);
  }
}

/** They are listed, and results answer. */
async function checkModels(client: Client, { models }: Manifest): Promise<void> {
  const now = (await client.json("/models")).data.map(({ id }: Json) => id);
  for (const { id } of models) {
    // Jobs that went on have newer checkpoints, which replace older ones.
    if (id.includes("ckpt-step")) continue;
    assert(now.includes(id), id);
    if (!id.includes(":")) continue;
    const request = { model: id, prompt: "The quick", max_tokens: 2 };
    const { usage } = await client.json("/completions", "POST", request);
    assertEquals(usage.completion_tokens, 2, id);
  }
}

Deno.test({
  name: "a data folder of an earlier server, killed with jobs in every state: nothing is lost",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const root = await Deno.makeTempDir();
    const folder = join(root, "data"), modelsFolder = join(root, "models");
    const manifest: Manifest = JSON.parse(await Deno.readTextFile(join(FIXTURE, "manifest.json")));
    await copyFolder(FIXTURE, folder);
    for (const name of ["tiny", "plain"]) await writeChatModel(join(modelsFolder, name));
    const server = await startServer({ folder, modelsFolder, args: ["--keep-checkpoints", "1"] });
    try {
      const { active, revoked, list } = manifest.keys;
      const client = new Client(server, active.secret);
      assertEquals((await new Client(server, revoked.secret).fetch("/models")).status, 401);
      await checkFiles(client, manifest);
      await checkJobs(client, manifest);
      await checkContinuation(client, manifest);
      await checkModels(client, manifest);
      const store = Store.open(join(folder, "server.db"));
      const keys = store.keys.list().map((
        { id, name, createdAt, revokedAt },
      ) => [id, name, createdAt, revokedAt ?? null]);
      store.close();
      assertEquals(
        keys,
        list.map(({ id, name, created_at, revoked_at }) => [id, name, created_at, revoked_at]),
      );
    } finally {
      await server.stop("SIGKILL");
      await Deno.remove(root, { recursive: true });
    }
  },
});

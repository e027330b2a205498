/**
 * Kills the server with SIGKILL repeatedly in the middle of a job. `KILLS=20` for more; `SEED`
 * determines the moments.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import OpenAI, { toFile } from "openai";
import { randomStream } from "../../src/inference/sampling.ts";
import { makeFolders, startServer, type TestServer } from "./support.ts";

const KILLS = Number(Deno.env.get("KILLS") ?? 2);
const SEED = Number(Deno.env.get("SEED") ?? 1);
const STEPS = 10 + 10 * KILLS;
const TEXT = new URL("../../examples/data/tinyshakespeare.txt", import.meta.url);

interface Told {
  readonly id: string;
  readonly type: string;
  readonly message: string;
  readonly data: {
    readonly step?: number;
    readonly train_loss?: number;
    readonly valid_loss?: number;
    readonly kind?: string;
  };
}

/** The events seen by a client that follows the job and reconnects across server restarts. */
class Follower {
  readonly seen: Told[] = [];

  async follow({ client }: TestServer, job: string, signal: AbortSignal): Promise<void> {
    const last = this.seen.at(-1)?.id.replace("ftevent-", "");
    const stream = await client.get(`/pretraining/jobs/${job}/events`, {
      query: { stream: true },
      headers: last ? { "last-event-id": last } : {},
      stream: true,
      signal,
    }) as AsyncIterable<Told>;
    for await (const event of stream) this.seen.push(event);
  }
}

async function createJob({ client }: TestServer): Promise<string> {
  const text = (await Deno.readTextFile(TEXT)).slice(0, 40_000);
  const file = await client.files.create({
    file: await toFile(new TextEncoder().encode(text), "text.txt"),
    purpose: "pretrain" as OpenAI.FilePurpose,
  });
  const { id } = await client.post("/pretraining/jobs", {
    body: {
      model: "llama_nano",
      training_file: file.id,
      hyperparameters: {
        steps: STEPS,
        batch_size: 1,
        seq_len: 32,
        rank: 16,
        update_proj_gap: 7,
        save_every: 5,
        eval_every: 10,
        eval_share: 0.005,
        sample_prompt: ["We are"],
        sample_tokens: 8,
      },
    },
  }) as { id: string };
  return id;
}

/** All pages of the list, newest first. */
async function allEvents({ url }: TestServer, id: string): Promise<Told[]> {
  const all: Told[] = [];
  for (;;) {
    const after = all.length ? `&after=${all.at(-1)!.id}` : "";
    const page = await fetch(`${url}/v1/pretraining/jobs/${id}/events?limit=100${after}`);
    const { data, has_more } = await page.json();
    all.push(...data);
    if (!has_more) return all;
  }
}

/** Kills the server, and sometimes the training process too, as in a power failure. */
async function killServer(server: TestServer, both: boolean): Promise<void> {
  if (both) {
    const { pid } = server.process;
    await new Deno.Command("pkill", { args: ["-9", "-P", `${pid}`] }).output();
  }
  await server.stop("SIGKILL");
}

async function finish({ client }: TestServer, id: string): Promise<void> {
  for (;;) {
    const { status, error } = await client.get(
      `/pretraining/jobs/${id}`,
    ) as OpenAI.FineTuning.FineTuningJob;
    if (status === "succeeded") return;
    assert(["validating_files", "queued", "running"].includes(status), JSON.stringify(error));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const weights = ({ folder }: TestServer, id: string) =>
  Deno.readFile(join(folder, "jobs", id, "model", "model.safetensors"));

Deno.test({
  name: `kill -9 of the server at ${KILLS} moments: the same weights, no event lost or told twice`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const root = await Deno.makeTempDir(), random = randomStream(SEED);
    const folders = await makeFolders(root);
    const start = () => startServer(folders);
    let server = await start();
    try {
      const whole = await createJob(server);
      await finish(server, whole);
      const expected = await weights(server, whole);

      const id = await createJob(server), follower = new Follower();
      for (let kill = 0; kill < KILLS; kill++) {
        const followed = follower.follow(server, id, new AbortController().signal).catch(() => {});
        // The first as soon as there is progress to lose.
        const begun = () => kill > 0 || follower.seen.some(({ data }) => data.step === 2);
        do await new Promise((resolve) => setTimeout(resolve, 1800 * random())); while (!begun());
        await killServer(server, random() < 0.5);
        await followed;
        server = await start();
      }
      await follower.follow(server, id, new AbortController().signal);
      await finish(server, id);
      assertEquals(await weights(server, id), expected);

      const { seen } = follower;
      assertEquals(new Set(seen.map(({ id }) => id)).size, seen.length, "an event came twice");
      const all = await allEvents(server, id);
      assertEquals(seen.map(({ id }) => id), all.reverse().map(({ id }) => id));
      const steps = seen.filter(({ data }) => data.train_loss !== undefined)
        .map(({ data }) => data.step!);
      assertEquals(steps, Array.from({ length: STEPS }, (_, i) => i + 1));
      const of = (kind: string) =>
        seen.filter(({ data }) => data.kind === kind)
          .map(({ data }) => data.step!);
      const every = (gap: number) => Array.from({ length: STEPS / gap }, (_, i) => gap * (i + 1));
      assertEquals(of("sample"), every(10));
      const evaluated = seen.filter(({ data }) => data.valid_loss !== undefined);
      assertEquals(evaluated.map(({ data }) => data.step), every(10));
      // Those of a server's end are beside them.
      assertEquals(of("checkpoint").filter((step) => step % 5 === 0), every(5));
      const restarts = seen.filter(({ message }) => message.startsWith("The server had stopped"));
      // On a fast machine the job may end before the last kill.
      assert(restarts.length >= 1 && restarts.length <= KILLS, `${restarts.length} restarts`);
    } finally {
      await server.stop("SIGKILL");
      await Deno.remove(root, { recursive: true });
    }
  },
});

/** Jobs of a server with workers, for tests that disturb them. */
import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { join } from "@std/path";
import OpenAI, { toFile } from "openai";
import { writeHfConfig } from "../../../src/formats/hf_config.ts";
import { TINY } from "../../train/support.ts";
import type { TestServer } from "../support.ts";
import { until } from "../until.ts";

const TEXT = new URL("../../../examples/data/tinyshakespeare.txt", import.meta.url);

// deno-lint-ignore no-explicit-any
type Json = any;

/** The client's view of jobs that all train the same. */
export class Jobs {
  private constructor(
    public server: TestServer,
    readonly steps: number,
    readonly file: string,
    readonly config: Json,
  ) {}

  /** Uploads a text; a job has that many steps. */
  static async prepare(server: TestServer, steps: number): Promise<Jobs> {
    const text = (await Deno.readTextFile(TEXT)).slice(0, 40_000);
    const file = await server.client.files.create({
      file: await toFile(new TextEncoder().encode(text), "text.txt"),
      purpose: "pretrain" as OpenAI.FilePurpose,
    });
    await writeHfConfig(server.modelsFolder, TINY, "float32");
    const config = JSON.parse(await Deno.readTextFile(join(server.modelsFolder, "config.json")));
    return new Jobs(server, steps, file.id, config);
  }

  async create(): Promise<string> {
    const { id } = await this.server.client.post("/pretraining/jobs", {
      body: {
        model: this.config,
        training_file: this.file,
        hyperparameters: {
          ...{ steps: this.steps, batch_size: 2, seq_len: 24, rank: 16, update_proj_gap: 7 },
          ...{ weight_group_size: 64, save_every: 4, eval_share: 0 },
        },
      },
    }) as Json;
    return id;
  }

  get(id: string): Promise<Json> {
    return this.server.client.get(`/pretraining/jobs/${id}`);
  }

  /** Oldest first. */
  async events(id: string): Promise<Json[]> {
    const all: Json[] = [];
    for (let more = true; more;) {
      const after = all.length ? `&after=${all.at(-1).id}` : "";
      const path = `/pretraining/jobs/${id}/events?limit=100${after}`;
      const { data, has_more } = await this.server.client.get(path) as Json;
      all.push(...data);
      more = has_more;
    }
    return all.reverse();
  }

  /** Of its result. */
  async weights(id: string): Promise<string> {
    const path = join(this.server.folder, "jobs", id, "model", "model.safetensors");
    return createHash("sha256").update(await Deno.readFile(path)).digest("hex");
  }

  succeeded(id: string): Promise<true> {
    return until(`${id} has succeeded`, async () => {
      const { status, error, status_reason } = await this.get(id);
      if (status === "succeeded") return true;
      assert(!["failed", "paused"].includes(status), JSON.stringify({ error, status_reason }));
      return false;
    });
  }

  /** A job that this worker has, and has sent a checkpoint of. */
  onWorker(name: string, ids: readonly string[]): Promise<string> {
    return until(`${name} has saved something`, async () => {
      const jobs = await Promise.all(ids.map((id) => this.get(id)));
      const own = jobs.find(({ runs_on }) => runs_on?.worker === name)?.id;
      if (!own) return undefined;
      const path = `/pretraining/jobs/${own}/checkpoints?limit=1`;
      const { data } = await this.server.client.get(path) as Json;
      return data.length ? own as string : undefined;
    });
  }

  /** Every step was told of once, in order, and so was the end. */
  assertWhole(events: readonly Json[]): void {
    const steps = events.filter(({ data }) => data.train_loss !== undefined);
    const all = Array.from({ length: this.steps }, (_, index) => index + 1);
    assertEquals(steps.map(({ data }) => data.step), all);
    assertEquals(events.filter(({ data }) => data.status === "succeeded").length, 1);
  }
}

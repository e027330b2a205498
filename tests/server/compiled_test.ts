/**
 * The server in a compiled program, whose processes are that program again. `PROGRAM=dist/trainer`
 * runs it on a real one.
 */
import { gzipSync } from "node:zlib";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import OpenAI, { toFile } from "openai";
import { withServer } from "./support.ts";

const SERVER = fromFileUrl(new URL("../../src/server/", import.meta.url));

Deno.test("a compiled program includes every module that the server runs as a process", async () => {
  const table = await Deno.readTextFile(join(SERVER, "compiled.ts"));
  const listed = [...table.matchAll(/import\("(.*)"\)/g)].map(([, path]) => join(SERVER, path));
  const run: string[] = [];
  for (const folder of ["processes", "files", "admission", "jobs", "worker", "inference"]) {
    for await (const { name } of Deno.readDir(join(SERVER, folder))) {
      const code = await Deno.readTextFile(join(SERVER, folder, name));
      const program = code.match(/^const PROGRAM = new URL\("(.*)", import\.meta\.url\)/m);
      if (program) run.push(join(SERVER, folder, program[1]));
    }
  }
  assertEquals(listed.sort(), run.sort());
});

Deno.test({
  name: "a compiled program checks files, trains and answers in processes of itself",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "compiled é " });
    try {
      const program = Deno.env.get("PROGRAM") ?? await standIn(folder);
      await withServer({ program }, async ({ client }) => {
        const lines = Array.from({ length: 40 }, (_, n) => JSON.stringify({ text: `Line ${n}.` }));
        const file = await client.files.create({
          file: await toFile(gzipSync(lines.join("\n")), "lines.jsonl.gz"),
          purpose: "pretrain" as OpenAI.FilePurpose,
        });
        const { id } = await client.post("/pretraining/jobs", {
          body: {
            model: "llama_nano",
            training_file: file.id,
            hyperparameters: { steps: 2, batch_size: 1, seq_len: 32, rank: 8, eval_every: 0 },
          },
        }) as { id: string };
        const job = await ended(client, id);
        assertEquals(job.status, "succeeded", JSON.stringify(job));
        const { choices } = await client.completions.create({
          model: job.trained_model!,
          prompt: "The",
          max_tokens: 4,
          temperature: 0,
        });
        assertMatch(choices[0].finish_reason, /length|stop/);
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** An executable that behaves as a compiled program. */
async function standIn(folder: string): Promise<string> {
  const path = join(folder, "trainer");
  const module = fromFileUrl(new URL("stand_in.ts", import.meta.url));
  const lock = fromFileUrl(new URL("../../deno.lock", import.meta.url));
  await Deno.writeTextFile(
    path,
    `#!/bin/sh\nSTAND_IN='${path}' exec '${Deno.execPath()}' run -A --no-prompt '--lock=${lock}' '${module}' "$@"\n`,
    { mode: 0o755 },
  );
  return path;
}

interface Job {
  readonly status: string;
  readonly trained_model: string | null;
}

async function ended(client: OpenAI, id: string): Promise<Job> {
  for (let tries = 0; tries < 600; tries++) {
    const job = await client.get(`/pretraining/jobs/${id}`) as Job;
    if (["succeeded", "failed", "cancelled", "paused"].includes(job.status)) return job;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert(false, `the job ${id} did not end`);
}

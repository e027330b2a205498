/** The server mounted in another program under a path. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import OpenAI from "openai";
import { writeChatModel } from "../inference/support.ts";
import { CHROMIUM, until, visit } from "../server/dashboard/browser.ts";
import { documented, makeKey, PLANETS, ROOT } from "./support.ts";

/** Starts the example on a free port, calls `use` with its address, and stops it. */
async function withSite(use: (url: string, dataFolder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const dataFolder = join(folder, "data"), modelsFolder = join(folder, "models");
  await writeChatModel(join(modelsFolder, "tiny"), { config: { maxPositions: 512 } });
  const [command, ...args] = await documented("examples/server/mounted.ts", [
    "0",
    dataFolder,
    modelsFolder,
  ]);
  const site = new Deno.Command(command, { args, cwd: ROOT, stdin: "null", stdout: "piped" })
    .spawn();
  try {
    const lines = site.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value = "" } = await lines.read();
    await use(value.trim(), dataFolder);
    site.kill("SIGTERM");
    assertEquals((await site.status).code, 0, "it ends by itself, all closed");
    await lines.cancel();
  } finally {
    try {
      site.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await site.status;
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a job from file upload to an answer, following its events, with the official client. */
async function trainAndTalk(client: OpenAI): Promise<string> {
  const text = await Deno.readTextFile(join(ROOT, PLANETS));
  const file = await client.files.create({
    file: new File([text], "planets.jsonl"),
    purpose: "fine-tune",
  });
  const { id } = await client.fineTuning.jobs.create({
    model: "tiny",
    training_file: file.id,
    hyperparameters: { n_epochs: 1 },
  });
  const stream = await client.get(`/fine_tuning/jobs/${id}/events`, {
    query: { stream: true },
    stream: true,
  }) as AsyncIterable<{ type: string }>;
  let steps = 0;
  for await (const { type } of stream) if (type === "metrics") steps++;
  const job = await client.fineTuning.jobs.retrieve(id);
  assertEquals([job.status, steps > 0], ["succeeded", true], JSON.stringify(job.error));
  const answer = await client.chat.completions.create({
    model: job.fine_tuned_model!,
    messages: [{ role: "user", content: "Which planet is red?" }],
    max_tokens: 4,
  });
  assertEquals(answer.usage?.completion_tokens, 4);
  return id;
}

async function lookAtDashboard(url: string, id: string): Promise<void> {
  await visit(url, {}, async ({ page }) => {
    await page.getByText("Live", { exact: true }).first().waitFor();
    await page.goto(`${url}/#/jobs/${id}`);
    await until(page, `document.querySelectorAll("main canvas").length > 0`);
    assertEquals(new URL(page.url()).pathname, "/train/");
    await page.getByRole("link", { name: "API", exact: true }).click();
    await page.getByRole("heading", { name: /API$/ }).first().waitFor();
    assertEquals(new URL(page.url()).pathname, "/train/docs");
  });
}

Deno.test({
  name: "examples: the server under a path of a site trains, talks and shows its dashboard",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await withSite(async (url, dataFolder) => {
      assertStringIncludes(await (await fetch(url)).text(), "Our site");
      const client = new OpenAI({ baseURL: `${url}train/v1`, apiKey: "none", maxRetries: 0 });
      const id = await trainAndTalk(client);
      const page = await (await fetch(`${url}train`)).text();
      assertStringIncludes(page, '<script type="module" src="assets/app.js">');
      if (CHROMIUM) await lookAtDashboard(`${url}train`, id);
      const apiKey = await makeKey(dataFolder);
      const refused = await fetch(`${url}train/v1/models`);
      assertEquals([refused.status, (await refused.json()).error.code], [401, "invalid_api_key"]);
      const { data } = await client.withOptions({ apiKey }).models.list();
      assert(data.some(({ id }) => id === "tiny"), "the models, with the key");
    });
  },
});

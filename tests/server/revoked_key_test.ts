/** `key --revoke` in a process of its own, while a server streams, answers and receives. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Store } from "../../src/server/store/store.ts";
import { writeChatModel } from "../inference/support.ts";
import { makeFolders, startServer } from "./support.ts";
import { job } from "./store/support.ts";

const CLI = fromFileUrl(new URL("../../cli.ts", import.meta.url));

async function revoke(id: string, folder: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CLI, "key", "--revoke", id, "--data-folder", folder],
    stdout: "null",
    stderr: "piped",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}

Deno.test("a revoked key ends its streams, answers, waiting requests and uploads", async () => {
  const root = await Deno.makeTempDir({ prefix: "revoked-" });
  const folders = await makeFolders(root);
  await Deno.mkdir(folders.folder);
  await writeChatModel(join(folders.modelsFolder, "tiny"), { config: { maxPositions: 16_384 } });
  const store = Store.open(join(folders.folder, "server.db"));
  const kept = store.keys.create("kept"), lost = store.keys.create("lost");
  // Nothing but the revocation ends the streams of a paused job.
  store.jobs.insert(job({ status: "paused" }));
  store.close();
  const server = await startServer({ ...folders, args: ["--host", "0.0.0.0"] });
  try {
    const as = (secret: string) => (path: string, init: RequestInit = {}) => {
      const headers = new Headers(init.headers);
      headers.set("authorization", `Bearer ${secret}`);
      return fetch(server.url + path, { ...init, headers });
    };
    const ask = as(lost.secret), askOther = as(kept.secret);
    const chat = (stream: boolean): RequestInit => ({
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "tiny",
        messages: [{ role: "user", content: "Hi" }],
        max_tokens: 16_000,
        temperature: 0,
        stream,
      }),
    });
    const jobPath = "/v1/fine_tuning/jobs/ftjob-1";
    const streams = await Promise.all(
      [`${jobPath}/events?stream=true`, `${jobPath}/metrics/stream`, "/metrics/stream"].map((
        path,
      ) => ask(path)),
    );
    const others = await askOther(`${jobPath}/events?stream=true`);
    const answer = await ask("/v1/chat/completions", chat(true));
    assertEquals(answer.status, 200);
    // Behind the first: one waits for its turn, streamed or not.
    const waiting = [
      ask("/v1/chat/completions", chat(true)),
      ask("/v1/completions", {
        ...chat(false),
        body: JSON.stringify({ model: "tiny", prompt: "a", max_tokens: 16_000 }),
      }),
    ];
    let uploading = true;
    const upload = ask("/v1/files", {
      method: "POST",
      headers: { "content-type": "multipart/form-data; boundary=x" },
      body: new ReadableStream<Uint8Array>({
        start(controller) {
          const form = [
            '--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n',
            '--x\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n',
          ];
          controller.enqueue(new TextEncoder().encode(form.join("")));
        },
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          if (uploading) controller.enqueue(new TextEncoder().encode("\n"));
          else controller.close();
        },
      }),
    });
    await revoke(lost.record.id, folders.folder);
    const since = performance.now();
    for (const response of streams) {
      // All that was there, and an end.
      assert(!(await response.text()).includes("[DONE]"));
    }
    const pieces = (await answer.text()).trimEnd().split("\n\n");
    const last = JSON.parse(pieces.at(-1)!.slice("data: ".length));
    assertEquals(last.error?.code, "invalid_api_key");
    assert(pieces.length < 16_000);
    for (const response of await Promise.all([...waiting, upload])) {
      assertEquals(response.status, 401);
      assertEquals((await response.json()).error.code, "invalid_api_key");
    }
    uploading = false;
    console.log(`all ended ${Math.round(performance.now() - since)} ms after the revocation`);
    assertEquals((await ask("/v1/models")).status, 401);
    // The other key goes on, and the model is free for it.
    await others.body!.cancel();
    const next = await askOther("/v1/chat/completions", {
      ...chat(false),
      body: JSON.stringify({
        model: "tiny",
        messages: [{ role: "user", content: "Hi" }],
        max_tokens: 2,
      }),
    });
    assertEquals((await next.json()).usage.completion_tokens, 2);
    // Without any key left, a server that others reach stays closed.
    await revoke(kept.record.id, folders.folder);
    const closed = [await askOther("/v1/models"), await fetch(`${server.url}/v1/models`)];
    assertEquals(closed.map(({ status }) => status), [401, 401]);
    assertEquals(await Array.fromAsync(Deno.readDir(join(folders.folder, "files"))), []);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${server.log()}`, { cause: error });
  } finally {
    await server.stop("SIGKILL");
    await Deno.remove(root, { recursive: true });
  }
});

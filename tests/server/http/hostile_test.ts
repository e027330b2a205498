import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { OpenApiDocument } from "../../../src/server/http/openapi_types.ts";
import { makeDataFolder } from "../../../src/server/storage/data_folder.ts";
import { Store } from "../../../src/server/store/store.ts";
import { writeChatModel } from "../../inference/support.ts";
import { makeFolders, startServer, type TestServer } from "../support.ts";
import { type HostileRequest, hostileRequests } from "./support_hostile.ts";

/** In KiB; small, to reach the limit quickly. */
const MAX_BODY = 64;

/** Concurrent requests, as from independent clients. */
const WORKERS = 8;

/** Milliseconds within which any request must be answered, on a busy machine. */
const PATIENCE = 5000;

const SECRET = "canary-93c1";

/** As OpenAI's clients read it. */
function assertErrorShape(body: unknown, what: string): void {
  const { error } = body as { error: Record<string, unknown> };
  const { choices: _, ...standard } = error;
  assertEquals(Object.keys(standard).sort(), ["code", "message", "param", "type"], what);
  assert(typeof error.message === "string" && error.message !== "", what);
  assert(typeof error.type === "string", what);
  assert(error.param === null || typeof error.param === "string", what);
  assert(error.code === null || typeof error.code === "string", what);
}

/** Sends a request, checks what every response must satisfy, and returns its status. */
async function attack(server: TestServer, key: string, request: HostileRequest): Promise<number> {
  const { method, url, headers, body, fault } = request;
  const what = `${method} ${url.slice(0, 100)} (${fault})`;
  const answer = await fetch(server.url + url, {
    method,
    headers: { authorization: `Bearer ${key}`, ...headers },
    body,
    signal: AbortSignal.timeout(PATIENCE),
  }).catch((error) => {
    // The server may close while a body is sent that it will not take: no answer gets through then.
    const cut = /broken pipe|connection (reset|closed)|error writing a body/i.test(
      String(error.cause ?? error),
    );
    if (cut && fault.startsWith("too large")) return undefined;
    throw new Error(`${what}: ${error.message}`, { cause: error });
  });
  if (!answer) return 413;
  const { status } = answer;
  if (answer.headers.get("content-type")?.includes("event-stream")) {
    await answer.body?.cancel();
    return status;
  }
  const text = await answer.text();
  assert(status < 500, `${what}: ${status} ${text}`);
  assert(!text.includes(SECRET), `${what}: read a file that it must not`);
  assert(answer.headers.has("x-request-id"), what);
  if (status >= 400) assertErrorShape(JSON.parse(text), `${what}: ${text.slice(0, 300)}`);
  return status;
}

/** Sends what no HTTP client would. Resolves to the first line of the response. */
async function sendRaw({ url }: TestServer, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(new TextEncoder().encode(bytes));
  const buffer = new Uint8Array(4096);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer to ${bytes}`)), PATIENCE);
  try {
    const length = await Promise.race([connection.read(buffer).catch(() => 0), late.promise]);
    const text = new TextDecoder().decode(buffer.subarray(0, length ?? 0));
    assert(!text.includes(SECRET), bytes);
    return text.split("\r\n")[0];
  } finally {
    clearTimeout(timer);
  }
}

/** Every file below, with its content, but for the data folder. */
async function snapshot(folder: string, except: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (path === except) continue;
    if (isDirectory) Object.assign(files, { [path]: "folder" }, await snapshot(path, except));
    else files[path] = await Deno.readTextFile(path);
  }
  return files;
}

Deno.test("thousands of hostile requests: each is answered, none does harm", async (test) => {
  const root = await Deno.makeTempDir({ prefix: "hostile-" });
  const folders = await makeFolders(root);
  await writeChatModel(join(folders.modelsFolder, "tiny"), {
    config: { maxPositions: 512 },
  });
  // What `../../etc/passwd` would be, from a file of the data folder.
  await Deno.mkdir(join(root, "etc"));
  await Deno.writeTextFile(join(root, "etc", "passwd"), SECRET);
  await Deno.writeTextFile(join(root, "passwd"), SECRET);
  const store = Store.open(await makeDataFolder(folders.folder));
  const { secret } = store.keys.create("test");
  store.close();
  const before = await snapshot(root, folders.folder);
  const server = await startServer({
    ...folders,
    apiKey: secret,
    // No job fits: the data of one that does are opened before it is created, which takes a second.
    args: ["--max-body", String(MAX_BODY), "--gpu-memory", "0.001"],
  });
  const statuses = new Map<number, number>();
  try {
    const { client, url } = server;
    const line =
      '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n';
    const upload = () =>
      client.files.create({ file: new File([line], "a.jsonl"), purpose: "fine-tune" });
    const { id } = await upload();
    const document: OpenApiDocument = await (await fetch(`${url}/openapi.json`)).json();
    const text = new File(["a text to train on\n".repeat(100)], "a.txt");
    // Their purpose is one that the client's types do not know.
    const purpose = "pretrain" as "fine-tune";
    const corpus = await client.files.create({ file: text, purpose });
    const known = (path: string): Record<string, unknown> => {
      // Avoids generation: with an unknown model, valid requests fail fast.
      if (path.includes("completions")) return { model: "none" };
      if (path.includes("pretraining")) return { model: "llama_nano", training_files: [corpus.id] };
      return { model: "tiny", training_file: id };
    };

    await test.step("made from the API's document", async () => {
      const requests = hostileRequests(document, known, MAX_BODY * 1024);
      assert(requests.length > 1000, `${requests.length} requests`);
      const queue = requests.values();
      const work = async () => {
        for (const request of queue) {
          const status = await attack(server, secret, request);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
      };
      await Promise.all(Array.from({ length: WORKERS }, work));
      console.log(`${requests.length} requests, answers by status:`, Object.fromEntries(statuses));
      for (const status of [400, 401, 404, 405, 413, 415, 429]) {
        assert(statuses.has(status), `${status}`);
      }
    });

    await test.step("not even HTTP", async () => {
      const close = "Host: localhost\r\nConnection: close\r\n\r\n";
      for (
        const bytes of [
          `GET /../../etc/passwd HTTP/1.1\r\n${close}`,
          `GET /assets/../../etc/passwd HTTP/1.1\r\n${close}`,
          `GET /assets/..%2f..%2fetc%2fpasswd HTTP/1.1\r\n${close}`,
          `GET //etc/passwd HTTP/1.1\r\n${close}`,
          `GET http://evil.example/v1/files HTTP/1.1\r\n${close}`,
          `GET /health HTTP/1.0\r\n\r\n`,
          `GET /health HTTP/9.9\r\n${close}`,
          `GET /\u0000 HTTP/1.1\r\n${close}`,
          `GET /${"x".repeat(70_000)} HTTP/1.1\r\n${close}`,
          `GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`,
          `GET /health HTTP/1.1\r\n${"X: y\r\n".repeat(1000)}${close}`,
          `POST /v1/files HTTP/1.1\r\nContent-Length: -1\r\n${close}`,
          `POST /v1/files HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n${close}0\r\n\r\n`,
          `POST /v1/files HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${close}zz\r\n`,
          "\u0000\u0001\u0002\r\n\r\n",
          `\r\n\r\nHELLO\r\n\r\n`,
        ]
      ) {
        assert(!/^HTTP\/1\.1 5/.test(await sendRaw(server, bytes)), bytes.slice(0, 100));
      }
    });

    await test.step("the server is as it was", async () => {
      assertEquals((await fetch(`${url}/health`).then((answer) => answer.json())).status, "ok");
      const again = await upload();
      assertEquals((await client.files.retrieve(again.id)).bytes, line.length);
      assertEquals(await (await client.files.content(id)).text(), line);
    });

    await test.step("nothing beside the data folder has changed", async () => {
      assertEquals(await snapshot(root, folders.folder), before);
    });
    assert(!/internal_error|\n +at /.test(server.log()), server.log());
  } catch (error) {
    console.error(server.log().slice(-5000));
    throw error;
  } finally {
    await server.stop("SIGKILL");
    await Deno.remove(root, { recursive: true });
  }
});

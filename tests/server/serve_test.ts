import { gzipSync } from "node:zlib";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { main } from "../../src/cli/main.ts";
import { urlOf } from "../../src/server/serve.ts";
import { writeChatModel } from "../inference/support.ts";
import { project } from "../support_project.ts";
import { makeFolders, startServer, withServer } from "./support.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

const EXAMPLES = Array.from({ length: 40 }, (_, i) =>
  JSON.stringify({
    messages: [{ role: "user", content: `Count to ${i}` }, { role: "assistant", content: `${i}` }],
  })).join("\n");

/** A server that fails to start: its exit code and message. */
async function failed(
  program: string,
  args: readonly string[],
  { env = {}, permissions = ["-A"] }: {
    readonly env?: Record<string, string>;
    readonly permissions?: readonly string[];
  } = {},
): Promise<{ code: number; said: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, join(ROOT, program), ...args],
    env,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, said: new TextDecoder().decode(stderr) };
}

/** The `key` command, as typed. */
async function key(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [], err: string[] = [];
  const code = await main(["key", ...args], {
    stdout: (line) => out.push(line),
    write: () => {},
    stderr: (line) => err.push(line),
    interactive: false,
    signal: new AbortController().signal,
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "serve-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("a server starts, answers, stops at SIGTERM, and starts again on the same folder", async () => {
  await withFolder(async (root) => {
    const folders = await makeFolders(root);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const server = await startServer(folders);
      const { status } = await (await fetch(`${server.url}/health`)).json();
      assertEquals(status, "ok");
      const { code } = await server.stop(signal);
      assertEquals(code, 130, server.log());
      assertStringIncludes(server.log(), "interrupted: saving");
    }
    // Not readable by other users.
    for (const [name, mode] of [["", 0o700], ["files", 0o700], ["server.db", 0o600]] as const) {
      assertEquals((await Deno.stat(join(folders.folder, name))).mode! & 0o777, mode, name);
    }
  });
});

Deno.test("event streams end when the server stops", async () => {
  await withServer({}, async ({ url, stop }) => {
    const answer = await fetch(`${url}/metrics/stream`);
    assertEquals(answer.status, 200);
    const reader = answer.body!.getReader();
    await reader.read();
    const [{ code }] = await Promise.all([
      stop(),
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ]);
    assertEquals(code, 130);
  });
});

Deno.test("a request in progress has some seconds to finish, and cannot hold up the stop", async () => {
  await withServer({}, async ({ url, stop }) => {
    const { hostname, port } = new URL(url);
    using client = await Deno.connect({ hostname, port: Number(port) });
    const head =
      `POST /v1/files HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-length: 1000\r\n` +
      "content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\n";
    await client.write(new TextEncoder().encode(head));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const began = performance.now();
    assertEquals((await stop()).code, 130);
    const seconds = (performance.now() - began) / 1000;
    // 3 s, and what a busy machine adds to the end of a process.
    assert(seconds > 2.5 && seconds < 15, `it took ${seconds} s`);
  });
});

Deno.test("the permissions of `deno task serve` are enough to upload, train and talk", async () => {
  const quoted = /"(--allow-run=)\$\(.*'\)"/;
  const command = project.tasks.serve.command.replace(quoted, `$1${Deno.execPath()}`);
  const permissions = command.split(" ").filter((word) => word.startsWith("--allow"));
  assertEquals(permissions.map((each) => each.split("=")[0]), [
    "--allow-net",
    "--allow-read",
    "--allow-write",
    "--allow-run",
    "--allow-sys",
  ]);
  for (const each of permissions) assertMatch(each, /=./, "a permission for everything");
  await withFolder(async (root) => {
    const folders = await makeFolders(root);
    await writeChatModel(join(folders.modelsFolder, "tiny"), { config: { maxPositions: 512 } });
    const port = freePort();
    const given = permissions.map((each) =>
      each.replace("127.0.0.1:8000", `127.0.0.1:${port}`)
        .replace("server-data", folders.folder)
        .replace(/(?<=[=,])models\b/, folders.modelsFolder)
    );
    const server = await startServer({ ...folders, permissions: given, port });
    try {
      const { client } = server;
      // Read by a process of its own.
      const file = new File([gzipSync(EXAMPLES)], "examples.jsonl.gz");
      const { id } = await client.files.create({ file, purpose: "fine-tune" });
      const created = await client.fineTuning.jobs.create({ model: "tiny", training_file: id });
      let job = created;
      while (!["succeeded", "failed", "cancelled"].includes(job.status)) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        job = await client.fineTuning.jobs.retrieve(created.id);
      }
      assertEquals(job.error, null);
      const answer = await client.chat.completions.create({
        model: job.fine_tuned_model!,
        messages: [{ role: "user", content: "Count to 3" }],
        max_tokens: 4,
      });
      assertEquals(answer.usage?.completion_tokens, 4);
      const metrics = await fetch(`${server.url}/metrics`);
      assertStringIncludes(await metrics.text(), "qgalore_jobs");
      assert(!server.log().includes("NotCapable"));
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${server.log()}`, { cause: error });
    } finally {
      await server.stop("SIGKILL");
    }
  });
});

Deno.test("`deno task serve` installs nothing, and works where Deno's path has a space and an accent", async () => {
  const { command, dependencies } = project.tasks.serve;
  assertEquals(dependencies, undefined);
  await withFolder(async (root) => {
    const deno = join(root, "my deno é", "deno");
    await Deno.mkdir(join(root, "my deno é"));
    await Deno.copyFile(Deno.execPath(), deno);
    const probe = `console.log((await new Deno.Command(Deno.execPath(), {
      args: ["--version"],
    }).output()).success);`;
    await Deno.writeTextFile(join(root, "probe.ts"), probe);
    const tasks = { serve: command.replace("cli.ts serve", "probe.ts") };
    await Deno.writeTextFile(join(root, "deno.json"), JSON.stringify({ tasks }));
    const { stdout } = await new Deno.Command(deno, { args: ["task", "serve"], cwd: root })
      .output();
    assertEquals(new TextDecoder().decode(stdout), "true\n");
  });
});

Deno.test("a server that may not run Deno says so", async () => {
  await withFolder(async (root) => {
    const { code, said } = await failed("cli.ts", ["serve", "--data-folder", join(root, "data")], {
      permissions: ["--allow-net", "--allow-read", "--allow-write", "--allow-sys"],
    });
    assertEquals(code, 1);
    assertStringIncludes(
      said,
      `start: add --allow-run="${Deno.execPath()}", as \`deno task serve\``,
    );
  });
});

Deno.test("a key that is made while the server runs is needed from then on", async () => {
  await withServer({}, async ({ url, folder }) => {
    const models = (headers?: HeadersInit) => fetch(`${url}/v1/models`, { headers });
    const status = async (headers?: HeadersInit) => {
      const answer = await models(headers);
      await answer.body?.cancel();
      return answer.status;
    };
    assertEquals(await status(), 200);
    const created = await key("--create", "laptop", "--data-folder", folder);
    assertEquals(created.code, 0);
    const authorization = `Bearer ${created.out}`;
    assertEquals([await status(), await status({ authorization })], [401, 200]);
    const [{ id }] = JSON.parse((await key("--list", "--json", "--data-folder", folder)).out);
    assertEquals((await key("--revoke", id, "--data-folder", folder)).code, 0);
    assertEquals(await status({ authorization }), 200);
    assertEquals(await status({ authorization: "Bearer sk-other" }), 200);
  });
});

Deno.test("key: a secret is shown once, and a list has none", async () => {
  await withFolder(async (root) => {
    const folder = join(root, "new");
    const created = await key("--create", "laptop", "--data-folder", folder);
    assertMatch(created.out, /^sk-[\w-]{43}$/);
    assertStringIncludes(created.err, "(laptop): store it safely");
    const second = JSON.parse((await key("--create", "ci", "--json", "--data-folder", folder)).out);
    assertEquals([Object.keys(second), second.name], [["id", "name", "secret"], "ci"]);
    const list = await key("--list", "--data-folder", folder);
    assertMatch(list.out, /laptop +active/);
    assert(!list.out.includes("sk-") && !list.out.includes(created.out));
    const bytes = await Deno.readFile(join(folder, "server.db"));
    assert(!new TextDecoder().decode(bytes).includes(created.out), "the secret is on the disk");
    const revoked = await key("--revoke", second.id, "--data-folder", folder);
    assertEquals(revoked.out, `revoked ${second.id} (ci)`);
    assertMatch((await key("--list", "--data-folder", folder)).out, /ci +revoked/);
    const again = await key("--revoke", second.id, "--data-folder", folder);
    assertEquals(again.code, 1);
    assertStringIncludes(again.err, "already revoked");
  });
});

Deno.test("key: a folder that is mistyped is named, and not created", async () => {
  await withFolder(async (root) => {
    const mistyped = join(root, "sever-data"), other = join(root, "other");
    await Deno.mkdir(other);
    for (const action of [["--list"], ["--revoke", "key-1"]]) {
      const { code, err } = await key(...action, "--data-folder", mistyped);
      assertEquals(code, 1);
      assertStringIncludes(err, `data folder ${mistyped}: does not exist`);
      assertStringIncludes(err, "name that of the server with --data-folder");
      const inOther = await key(...action, "--data-folder", other);
      assertStringIncludes(inOther.err, `${other} is no server's data folder: it has no server.db`);
    }
    assertEquals((await Array.fromAsync(Deno.readDir(root))).map(({ name }) => name), ["other"]);
    assertEquals(await Array.fromAsync(Deno.readDir(other)), []);
    // Before the first start of a server there may be a key.
    const { code, err } = await key("--create", "first", "--data-folder", mistyped);
    assertEquals(code, 0);
    assertStringIncludes(err, `created the data folder ${mistyped}\n`);
    assert(
      !(await key("--create", "second", "--data-folder", mistyped)).err.includes("created the"),
    );
  });
});

for (
  const [args, message] of [
    [[], "one of --create NAME, --list or --revoke ID is required"],
    [["--list", "--create", "x"], "one of --create NAME, --list or --revoke ID is required"],
    [["--create", " "], "--create: must not be empty"],
  ] as const
) {
  Deno.test(`key ${args.join(" ")} is bad usage`, async () => {
    const { code, err } = await key(...args);
    assertEquals(code, 2);
    assertStringIncludes(err, message);
  });
}

Deno.test("what keeps a server from starting is reported in one line, with advice", async (test) => {
  await withFolder(async (root) => {
    const folder = join(root, "data"), file = join(root, "file");
    await Deno.writeTextFile(file, "");
    const data = ["--data-folder", folder];
    const fails = async (
      what: string,
      args: readonly string[],
      messages: readonly string[],
      env?: Record<string, string>,
    ) => {
      await test.step(what, async () => {
        const { code, said } = await failed("cli.ts", ["serve", ...args], { env });
        assertEquals(code, 1, said);
        for (const message of messages) assertStringIncludes(said, message);
        assert(!/\n +at /.test(said), said);
      });
    };
    await fails("an address that others reach, without a key", [...data, "--host", "0.0.0.0"], [
      "--host 0.0.0.0: this address is reachable from other machines, and the server has no API key",
      `create one: deno run -qP cli.ts key --create NAME --data-folder "${folder}"`,
    ]);
    await fails("a page's address with a path", [...data, "--cors-origin", "https://a.example/b"], [
      "--cors-origin https://a.example/b: must be an origin",
    ]);
    await fails("a data folder in a file", ["--data-folder", join(file, "data")], [
      `data folder ${join(file, "data")}: `,
    ]);
    await fails("a folder with a comma", [...data, "--models-folder", `${file},b/models`], [
      `${file},b/models: has a comma in its path, which Deno's permissions cannot express`,
      "rename it or its folder",
    ]);
    await fails(
      "no GPU",
      data,
      ["no WebGPU adapter was found", "vulkan", "`deno task setup`"],
      { VK_DRIVER_FILES: file, VK_ICD_FILENAMES: file },
    );
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = taken.addr;
    await fails("a port that is in use", [...data, "--port", String(port)], [
      `--host 127.0.0.1 --port ${port}: the port is in use`,
    ]);
    await key("--create", "any", ...data);
    await fails("an address of another machine", [...data, "--host", "203.0.113.7"], [
      "--host 203.0.113.7 --port 8000: cannot listen there",
    ]);
  });
});

Deno.test("two servers do not share a data folder", async () => {
  await withServer({}, async ({ folder }) => {
    const { code, said } = await failed("cli.ts", ["serve", "--data-folder", folder]);
    assertEquals(code, 1);
    assertStringIncludes(said, "another server is using it");
  });
});

Deno.test("on all addresses, with a key, the server answers those who have it", async () => {
  await withFolder(async (root) => {
    const folders = await makeFolders(root);
    const { out: apiKey } = await key("--create", "any", "--data-folder", folders.folder);
    const server = await startServer({ ...folders, apiKey, args: ["--host", "0.0.0.0"] });
    try {
      assertMatch(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
      const answer = await fetch(`${server.url}/v1/models`);
      assertEquals([answer.status, (await answer.json()).error.code], [401, "invalid_api_key"]);
      assertEquals((await server.client.models.list()).data, []);
    } finally {
      await server.stop("SIGKILL");
    }
  });
});

Deno.test("server.ts takes the options of serve", async () => {
  const { code, said } = await failed("server.ts", ["--prot", "1"]);
  assertEquals(code, 2);
  assertStringIncludes(said, "--prot: unknown flag (did you mean --port?)");
});

Deno.test("the address to open is one that can be opened", () => {
  assertEquals(urlOf("127.0.0.1", 8000), "http://127.0.0.1:8000");
  assertEquals(urlOf("0.0.0.0", 80), "http://127.0.0.1:80");
  assertEquals(urlOf("::", 80), "http://127.0.0.1:80");
  assertEquals(urlOf("::1", 80), "http://[::1]:80");
});

Deno.test("every line of the log has its time; as JSON, every line is an object", async () => {
  for (const format of ["text", "json"] as const) {
    await withServer({ args: ["--verbose", "--log-format", format] }, async (server) => {
      const { url, stop, log } = server;
      const { headers, body } = await fetch(`${url}/v1/models`);
      await body?.cancel();
      assertEquals((await stop()).code, 130);
      const lines = log().trimEnd().split("\n");
      const id = headers.get("x-request-id")!;
      for (const [words, count] of [["listening on ", 1], [id, 1], ["interrupted: ", 1]] as const) {
        assertEquals(lines.filter((line) => line.includes(words)).length, count, words);
      }
      const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;
      if (format === "text") { for (const line of lines) assertMatch(line, TIME); }
      else {
        const entries = lines.map((line) => JSON.parse(line));
        for (const { time } of entries) assertMatch(time, TIME);
        const { time: _, ms, ...request } = entries.find(({ request_id }) => request_id === id);
        assert(ms >= 0);
        assertEquals(request, {
          level: "info",
          message: "request",
          method: "GET",
          route: "/v1/models",
          status: 200,
          client: "127.0.0.1",
          request_id: id,
        });
      }
    });
  }
});

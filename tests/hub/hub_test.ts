import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { waitAsked } from "../../src/hub/answers.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import {
  type DownloadEvent,
  type HubOptions,
  resolveData,
  resolveModel,
  resolveTokenizer,
} from "../../src/hub/hub.ts";
import { commitOf, cutOff, type HubRepo, HubServer, refusal, sha256 } from "./hub_server.ts";
import { assertRefusesAsync } from "../support_errors.ts";

const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31) >> 3);
const NAME = "org/tiny";

const MODEL: HubRepo = {
  name: NAME,
  revisions: ["v1", "refs/pr/3"],
  files: {
    "README.md": "# tiny",
    "config.json": '{"model_type": "llama"}',
    "generation_config.json": "{}",
    "model.safetensors": WEIGHTS,
    "consolidated.safetensors": "not asked for",
    "pytorch_model.bin": "not asked for",
    "onnx/model.onnx": "not asked for",
    "tokenizer.json": "{}",
    "chat_template.jinja": "{{ messages }}",
    "additional_chat_templates/tool_use.jinja": "{{ tools }}",
    "sub/config.json": "{}",
    "sub/model.safetensors": "small weights",
    "tiny.Q4_1.gguf": "a gguf",
  },
};

/** An address where nothing listens. */
const NOBODY = (() => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${listener.addr.port}`;
})();

const NEEDED = [
  "additional_chat_templates/tool_use.jinja",
  "chat_template.jinja",
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "tokenizer.json",
];

interface Setting {
  readonly server: HubServer;
  readonly cache: string;
  readonly options: HubOptions;
  readonly events: DownloadEvent[];
}

/** Runs with a server and an empty cache. */
async function withHub(
  repos: readonly HubRepo[],
  run: (setting: Setting) => Promise<void>,
): Promise<void> {
  const cache = await Deno.makeTempDir();
  const events: DownloadEvent[] = [];
  try {
    await using server = new HubServer(repos);
    const options: HubOptions = {
      environment: { endpoint: server.endpoint, cacheFolder: cache, offline: false, xet: true },
      onProgress: (event) => events.push(event),
      retryDelayMs: 1,
    };
    await run({ server, cache, options, events });
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}

async function filesBelow(folder: string, below = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = below ? `${below}/${name}` : name;
    files.push(...isDirectory ? await filesBelow(folder, path) : [path]);
  }
  return files.sort();
}

const without = (options: HubOptions, changes: Partial<HubOptions["environment"]>): HubOptions => ({
  ...options,
  environment: { ...options.environment!, ...changes },
});

Deno.test("hub: a model is what is needed of it, in the layout that Python shares", async () => {
  await withHub([MODEL], async ({ cache, options, events }) => {
    const folder = await resolveModel(`hf:${NAME}`, options);
    const commit = commitOf(MODEL), repo = join(cache, "models--org--tiny");
    assertEquals(folder, join(repo, "snapshots", commit));
    assertEquals(await filesBelow(folder), NEEDED);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals(await Deno.readTextFile(join(repo, "refs", "main")), commit);
    assertEquals(
      await Deno.readLink(join(folder, "model.safetensors")),
      `../../blobs/${sha256(WEIGHTS)}`,
    );
    const blobs = await filesBelow(join(repo, "blobs"));
    assertEquals(blobs.length, 5); // {} is two files and one blob
    assertEquals(events[0], {
      type: "download_start",
      spec: `hf:${NAME}`,
      files: 6,
      bytes: WEIGHTS.length + 23 + 2 + 2 + 14 + 11,
    });
    const last = events.at(-2)!, done = events.at(-1)!;
    assertEquals(done.type, "download_done");
    assert(last.type === "download_progress");
    assertEquals([last.received, last.file], [last.bytes, "model.safetensors"]);
    const sums = events.filter((event) => event.type === "download_progress")
      .map((event) => event.received);
    assertEquals(sums, sums.toSorted((a, b) => a - b));
  });
});

Deno.test("hub: what is in the cache needs no server", async () => {
  await withHub([MODEL], async ({ server, options, events }) => {
    const folder = await resolveModel(`hf:${NAME}`, options);
    const asked = server.requests.length;
    assertEquals(await resolveModel(`hf:${NAME}`, options), folder);
    assertEquals(server.requests.length, asked + 1); // only the commit of main
    assertEquals(await resolveModel(`hf:${NAME}@${commitOf(MODEL)}`, options), folder);
    assertEquals(server.requests.length, asked + 1); // a commit cannot move
    events.length = 0;
    const offline = without(options, { offline: true });
    assertEquals(await resolveModel(`hf:${NAME}`, offline), folder);
    assertEquals(events, []);
    const gone = without(options, { endpoint: NOBODY });
    assertEquals(await resolveModel(`hf:${NAME}`, gone), folder);
    assertEquals(events.length, 1);
    assert(events[0].type === "notice");
    assertStringIncludes(events[0].message, "is unreachable");
    server.fault = () => new Response("busy", { status: 503, headers: { "Retry-After": "60" } });
    assertEquals(await resolveModel(`hf:${NAME}`, options), folder);
  });
});

Deno.test("hub: Python's cache is used, and partial snapshots are recognised", async () => {
  await withHub([], async ({ cache, options }) => {
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const repo = join(cache, "models--org--tiny"), folder = join(repo, "snapshots", commit);
    await Deno.mkdir(join(repo, "refs"), { recursive: true });
    await Deno.mkdir(join(repo, "blobs"));
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(repo, "refs", "main"), commit);
    await Deno.writeTextFile(join(repo, "blobs", "aa"), "{}");
    await Deno.symlink("../../blobs/aa", join(folder, "config.json"));
    const offline = without(options, { offline: true });
    const refused = (message: string) =>
      assertRefusesAsync(() => resolveModel(`hf:${NAME}`, offline), UserError, message);
    await refused("has no model.safetensors\n  hint: it has config.json");
    const map = { weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" } };
    const index = join(folder, "model.safetensors.index.json");
    await Deno.writeTextFile(index, JSON.stringify(map));
    await Deno.writeTextFile(join(folder, "model-1.safetensors"), "");
    await refused("model.safetensors.index.json names model-2.safetensors, which is not there");
    await Deno.writeTextFile(join(folder, "model-2.safetensors"), "");
    assertEquals(await resolveModel(`hf:${NAME}`, offline), folder);
  });
});

Deno.test("hub: revisions, folders, single files", async () => {
  await withHub([MODEL], async ({ cache, options }) => {
    const folder = join(cache, "models--org--tiny", "snapshots", commitOf(MODEL));
    assertEquals(await resolveModel(`hf:${NAME}@v1`, options), folder);
    assertEquals(await resolveModel(`hf:${NAME}@refs/pr/3`, options), folder);
    assertEquals(await filesBelow(join(cache, "models--org--tiny", "refs")), ["refs/pr/3", "v1"]);
    assertEquals(await resolveModel(`hf:${NAME}/sub`, options), join(folder, "sub"));
    const gguf = await resolveModel(`hf://${NAME}/tiny.Q4_1.gguf`, options);
    assertEquals(gguf, join(folder, "tiny.Q4_1.gguf"));
    assertEquals(await Deno.readTextFile(gguf), "a gguf");
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}/other.gguf`, options),
      UserError,
      "hf:org/tiny/other.gguf: the model has no other.gguf at main\n  hint: it has tiny.Q4_1.gguf",
    );
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}@v2`, options),
      UserError,
      "hf:org/tiny@v2: 127.0.0.1",
    );
  });
});

Deno.test("hub: any part of a split GGUF model brings the others", async () => {
  const names = [1, 2].map((number) => `q8/x-0000${number}-of-00002.gguf`);
  const repo = { name: NAME, files: Object.fromEntries(names.map((name) => [name, "x"])) };
  await withHub([repo], async ({ options }) => {
    const path = await resolveModel(`hf:${NAME}/${names[1]}`, options);
    assertEquals(await filesBelow(dirname(dirname(path))), names);
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      `it has GGUF files; name one: hf:${NAME}/${names[0]}`,
    );
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}/q8/x-00001-of-00003.gguf`, options),
      UserError,
      `the model has no ${["1", "2", "3"].map((n) => `q8/x-0000${n}-of-00003.gguf`).join(", ")}`,
    );
  });
});

Deno.test("hub: a tokenizer comes without the weights", async () => {
  await withHub([MODEL], async ({ options }) => {
    const folder = await resolveTokenizer(`hf:${NAME}`, options);
    assertEquals(await filesBelow(folder), NEEDED.filter((name) => !name.startsWith("model.")));
    assertEquals(await resolveModel(`hf:${NAME}`, options), folder);
    assertEquals(await filesBelow(folder), NEEDED);
  });
});

const SHARDED: HubRepo = {
  name: "org/sharded",
  files: {
    "config.json": "{}",
    "model.safetensors.index.json": JSON.stringify({
      weight_map: { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" },
    }),
    "model-00001-of-00002.safetensors": WEIGHTS,
    "model-00002-of-00002.safetensors": WEIGHTS.subarray(7),
    "other.safetensors": "not asked for",
  },
};

Deno.test("hub: of a sharded model, the shards that its index names", async () => {
  await withHub([SHARDED], async ({ options }) => {
    const folder = await resolveModel("hf:org/sharded", options);
    assertEquals(
      await filesBelow(folder),
      Object.keys(SHARDED.files).filter((name) => !name.startsWith("other")).sort(),
    );
  });
  const { "model-00002-of-00002.safetensors": _, ...files } = SHARDED.files;
  await withHub([{ ...SHARDED, files }], async ({ options, server }) => {
    await assertRefusesAsync(
      () => resolveModel("hf:org/sharded", options),
      UserError,
      "index.json names model-00002-of-00002.safetensors, which is not there",
    );
    assertEquals(server.count("cdn"), 0); // before the other shard is fetched in vain
  });
});

Deno.test("hub: a broken connection resumes where it stopped", async () => {
  await withHub([MODEL], async ({ server, options, events }) => {
    // Every response sends half of the rest: 300,000 bytes after 19 of them.
    server.fault = ({ kind, range }, body) =>
      kind === "cdn" && range !== "bytes=0-0" ? cutOff(body, range) : undefined;
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    const starts = server.requests.filter(({ kind }) => kind === "cdn").map(({ range }) => range);
    assertEquals(starts.slice(0, 5), [
      "bytes=0-0", // the package asks for the size
      null,
      "bytes=0-0",
      "bytes=150000-299999",
      "bytes=0-0",
    ]);
    assert(events.some((it) => it.type === "download_progress" && it.fileReceived === 225_000));
  });
});

Deno.test("hub: connections that are reset are opened again, where they stopped", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    let resets = 0;
    server.fault = ({ kind, range }, body) => {
      if (kind !== "cdn" || range === "bytes=0-0" || resets++ >= 8) return undefined;
      const from = Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
      const pieces = [body.subarray(from, from + 20_000)];
      const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 5)); // sent before the reset
          const piece = pieces.pop();
          if (piece) controller.enqueue(piece);
          else controller.error(new Error("reset"));
        },
      });
      return new Response(stream, { status: range ? 206 : 200 });
    };
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals(server.requests.at(-1)!.range, "bytes=160000-299999");
  });
});

Deno.test("hub: an interrupted download leaves no file under its name, and is gone on from", async () => {
  await withHub([MODEL], async ({ server, cache, options }) => {
    let answers = 0;
    server.fault = ({ kind, range }, body) => {
      if (kind !== "cdn" || range === "bytes=0-0") return undefined;
      return answers++ === 0 ? cutOff(body, range) : refusal(500, "", "out of order");
    };
    const error = await assertRejects(() => resolveModel(`hf:${NAME}`, options), UserError);
    assertStringIncludes(error.message, `hf:${NAME}: the download failed: `);
    assertStringIncludes(error.message, "out of order");
    const blobs = join(cache, "models--org--tiny", "blobs");
    const partial = `${sha256(WEIGHTS)}.incomplete`;
    assertEquals((await filesBelow(blobs)).filter((name) => name.includes("incom")), [partial]);
    assertEquals((await Deno.stat(join(blobs, partial))).size, 150_000);
    const offline = without(options, { offline: true });
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, offline),
      UserError,
      "the cache is incomplete, missing model.safetensors (HF_HUB_OFFLINE forbids",
    );
    server.fault = () => undefined;
    server.requests.length = 0;
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals(server.requests.at(-1)!.range, "bytes=150000-299999");
    assertEquals((await filesBelow(blobs)).filter((name) => name.includes("incom")), []);
  });
});

Deno.test("hub: bytes that are not the right ones are thrown away", async () => {
  await withHub([MODEL], async ({ server, cache, options }) => {
    // An earlier attempt left different content.
    const blobs = join(cache, "models--org--tiny", "blobs");
    await Deno.mkdir(blobs, { recursive: true });
    const partial = join(blobs, `${sha256(WEIGHTS)}.incomplete`);
    await Deno.writeFile(partial, new Uint8Array(1000));
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    await Deno.remove(join(blobs, sha256(WEIGHTS)));
    await Deno.writeFile(partial, new Uint8Array(400_000)); // longer than it can be
    await resolveModel(`hf:${NAME}`, options);
    // The server always sends wrong data.
    await Deno.remove(join(blobs, sha256(WEIGHTS)));
    server.fault = ({ kind, range }) =>
      kind === "cdn" && range === null ? new Response(new Uint8Array(WEIGHTS.length)) : undefined;
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      "model.safetensors: the download does not match the hash that the hub lists",
    );
    assertEquals((await filesBelow(blobs)).includes(sha256(WEIGHTS)), false);
  });
});

Deno.test("hub: a server in trouble is asked again, and reported when it stays so", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    const broken = { info: 2, tree: 1, resolve: 3, cdn: 2, xet: 0 };
    server.fault = ({ kind }) => broken[kind]-- > 0 ? new Response("", { status: 500 }) : undefined;
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await filesBelow(folder), NEEDED);
  });
  await withHub([MODEL], async ({ server, options }) => {
    server.fault = () => Response.json({ error: "Internal Error" }, { status: 500 });
    const error = await assertRejects(() => resolveModel(`hf:${NAME}`, options), UserError);
    assertStringIncludes(explain(error), "answers with status 500: Internal Error\n  hint: try ag");
    assertEquals(server.requests.length, 16); // with growing delays: minutes
    server.fault = () => new Response("", { status: 429 });
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      "too many requests",
    );
  });
});

Deno.test("hub: a server that ignores ranges sends the file from its beginning", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    let broken = 0;
    server.fault = ({ kind, range }, body) => {
      if (kind !== "cdn" && kind !== "resolve") return undefined;
      if (kind === "resolve" && body.length > 1000) return undefined; // a redirect
      // Half of it at first, and no ETag, as of a plain web server.
      const half = kind === "cdn" && range !== "bytes=0-0" && broken++ === 0;
      return new Response(half ? body.subarray(0, body.length / 2) : body);
    };
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals(await Deno.readTextFile(join(folder, "config.json")), '{"model_type": "llama"}');
    assertEquals(server.requests.at(-1)!.range, "bytes=150000-299999");
  });
});

Deno.test("hub: waits as asked, in seconds, until a date or as the hub limits rates", async () => {
  const asks: [string, () => Record<string, string>][] = [
    ["seconds", () => ({ "Retry-After": "1" })],
    ["a date", () => ({ "Retry-After": new Date(Date.now() + 2000).toUTCString() })],
    ["a rate limit", () => ({ RateLimit: '"resolvers";r=0;t=1' })],
  ];
  await Promise.all(
    asks.map(([what, headers], index) =>
      withHub([MODEL], async ({ server, options }) => {
        const refused: number[] = [], asked: number[] = [];
        server.fault = ({ kind }) => {
          if (kind !== "info") return undefined;
          asked.push(Date.now());
          if (refused.length >= 2) return undefined;
          refused.push(Date.now());
          return new Response("", { status: index === 1 ? 503 : 429, headers: headers() });
        };
        await resolveModel(`hf:${NAME}`, options);
        const waits = asked.slice(1).map((at, index) => at - refused[index]);
        // A date has whole seconds: two of them are between one and two.
        assert(waits.every((wait) => wait >= 950), `${what}: ${waits}`);
      })
    ),
  );
});

Deno.test("hub: how long it asks to wait", () => {
  const now = Date.UTC(2026, 0, 31, 23, 59, 58);
  for (
    const [name, value, expected] of [
      ["Retry-After", "1", 1000],
      ["Retry-After", "Sun, 01 Feb 2026 00:00:03 GMT", 5000], // RFC 9110, section 5.6.7
      ["RateLimit", '"resolvers";r=0;t=7', 7000],
    ] as const
  ) assertEquals(waitAsked(new Headers({ [name]: value }), now), expected, value);
  assertEquals(waitAsked(new Headers(), now), undefined);
});

Deno.test("hub: a long wait is announced once, and one too long is refused", async () => {
  await withHub([MODEL], async ({ server, options, events }) => {
    const controller = new AbortController();
    let refusals = 0;
    server.fault = () => {
      if (++refusals === 3) controller.abort(new Error("enough"));
      return new Response("", { status: 429, headers: { "Retry-After": "4" } });
    };
    const impatient = { ...options, signal: controller.signal };
    await assertRejects(() => resolveModel(`hf:${NAME}`, impatient), Error, "enough");
    const messages = events.map((event) => event.type === "notice" && event.message);
    assertEquals(messages, [`${new URL(server.endpoint).host} asks to wait 4 s (status 429)`]);
    server.fault = () => new Response("", { status: 429, headers: { "Retry-After": "3600" } });
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      "too many requests",
    );
  });
});

Deno.test("hub: a web page in place of data is named, with who sent it", async () => {
  const page =
    "<html><head><title>\n Hotel WiFi &amp; login </title></head><body>Welcome</body></html>";
  const html = { headers: { "Content-Type": "text/html; charset=utf-8" } };
  for (const kind of ["info", "tree", "resolve", "cdn"]) {
    await withHub([MODEL], async ({ server, options }) => {
      server.fault = (request) => request.kind === kind ? new Response(page, html) : undefined;
      const error = await assertRefusesAsync(
        () => resolveModel(`hf:${NAME}`, options),
        UserError,
        `hf:org/tiny: ${new URL(server.endpoint).host} was asked, and 127.0.0.1:`,
      );
      assertStringIncludes(error.message, '(200, text/html: "Hotel WiFi &amp; login")');
      assertStringIncludes(error.hint!, "login page");
    });
  }
  await withHub([MODEL], async ({ server, options }) => {
    server.fault = () => new Response(page, { ...html, status: 403 });
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      'denies access (403: a web page, "Hotel WiFi &amp; login")',
    );
    server.fault = () =>
      new Response("please log in", { headers: { "Content-Type": "text/plain" } });
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      '(200, text/plain: "please log in")',
    );
  });
});

Deno.test("hub: the hub's own protocol, and plain HTTP where that fails", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    server.xet = true;
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals([server.count("xet"), server.count("cdn")], [1, 0]);
  });
  await withHub([MODEL], async ({ server, options }) => {
    server.xet = true;
    let answers = 0;
    server.fault = ({ kind, range }, body) => {
      if (kind !== "xet" || answers++ > 0) return undefined;
      return new Response(cutOff(body, null).body, { status: range ? 206 : 200 });
    };
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
  });
  await withHub([MODEL], async ({ server, options }) => {
    server.xet = true;
    server.fault = ({ kind }) => kind === "xet" ? new Response("", { status: 500 }) : undefined;
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals(server.count("cdn"), 1);
  });
});

Deno.test("hub: the token is for the hub and not for where it sends one", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    const token = { value: "no-hf-prefix", origin: "HF_TOKEN" };
    await resolveModel(`hf:${NAME}`, without(options, { token }));
    for (const { kind, token } of server.requests) {
      assertEquals(token, kind === "cdn" ? null : "Bearer no-hf-prefix", kind);
    }
  });
});

Deno.test("hub: refusals name the spec, the hub's words and what to do", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    const refused = async (spec: string, ...messages: string[]) => {
      const error = await assertRejects(() => resolveModel(spec, options), UserError);
      for (const message of messages) assertStringIncludes(explain(error), message);
    };
    await refused(
      "hf:org/none@v1",
      "hf:org/none@v1: 127.0.0.1:",
      "has no such model, revision or file (404: Repository not found)",
      `look it up at ${server.endpoint}/org/none`,
    );
    await refused(`hf:${NAME}@v2`, "(404: Invalid rev id: v2)");
    const asked = server.requests.length;
    const gate = "Access to model org/tiny is restricted.";
    server.fault = ({ kind }) => kind === "cdn" ? undefined : refusal(401, "GatedRepo", gate);
    await refused(
      `hf:${NAME}`,
      `denies access (401: ${gate})`,
      `accept its terms at ${server.endpoint}/org/tiny, and set HF_TOKEN to a token with access`,
    );
    assertEquals(server.requests.length, asked + 1); // a refusal is not retried
    server.fault = ({ kind }) => kind === "resolve" ? refusal(403, "GatedRepo", gate) : undefined;
    const token = { value: "hf_x", origin: "/home/me/token" };
    const error = await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, without(options, { token })),
      UserError,
      `denies access (403: ${gate})`,
    );
    assertStringIncludes(error.hint!, "the token of /home/me/token has no access");
  });
});

Deno.test("hub: offline, and a host that cannot be reached", async () => {
  await withHub([], async ({ options }) => {
    const gone = without(options, { endpoint: NOBODY });
    const error = await assertRejects(() => resolveModel(`hf:${NAME}`, gone), UserError);
    assertStringIncludes(
      error.message,
      `hf:${NAME}: cannot reach ${new URL(NOBODY).host}: client error`,
    );
    assertStringIncludes(explain(error), "is this machine offline?");
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, without(options, { offline: true })),
      UserError,
      "is not in the cache",
    );
  });
});

Deno.test("hub: stops on abort", async () => {
  await withHub([MODEL], async ({ server, cache, options }) => {
    const controller = new AbortController();
    const onProgress = (event: DownloadEvent) => {
      if (event.type === "download_progress" && event.file === "model.safetensors") {
        controller.abort(new Error("enough"));
      }
    };
    const stopping = { ...options, onProgress, signal: controller.signal };
    await assertRejects(() => resolveModel(`hf:${NAME}`, stopping), Error, "enough");
    const files = await filesBelow(cache);
    assertEquals(files.some((path) => path.endsWith(`blobs/${sha256(WEIGHTS)}`)), false);
    server.requests.length = 0;
    await assertRejects(() => resolveModel(`hf:${NAME}`, stopping), Error, "enough");
    assertEquals(server.requests, []);
  });
});

Deno.test("hub: two at once download a file once", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    await Promise.all([resolveModel(`hf:${NAME}`, options), resolveModel(`hf:${NAME}`, options)]);
    assertEquals(server.requests.filter(({ kind, range }) => kind === "cdn" && !range).length, 1);
  });
});

Deno.test("hub: a path is itself, if it is there", async () => {
  assertEquals(await resolveModel("tests"), "tests");
  assertEquals(await resolveTokenizer("deno.jsonc"), "deno.jsonc");
  await assertRefusesAsync(
    () => resolveModel("nowhere/x"),
    UserError,
    "model nowhere/x: cannot be op",
  );
});

for (
  const [spec, message] of [
    ["hf:", '"" is not a valid name on the hub'],
    ["hf:a b/c", '"a b/c" is not a valid name on the hub'],
    ["hf:../c", '"../c" is not a valid name on the hub'],
    ["hf:org/name@", '"" is not a revision'],
    ["hf:org/name@../x", '".." is not a revision'],
    ["hf:org/name/../x.gguf", '"../x.gguf" is not a valid path'],
    ["hf:datasets/org/name", "names a dataset where a model is needed"],
  ]
) {
  Deno.test(`hub: refuses ${spec}`, async () => {
    const error = await assertRefusesAsync(
      () => resolveModel(spec),
      UserError,
      `${spec}: ${message}`,
    );
    assertStringIncludes(explain(error), "as in hf:org/name");
  });
}

Deno.test("hub: weights in other formats are refused with a list of what exists", async () => {
  const repo = (files: string[]): HubRepo => ({
    name: NAME,
    files: Object.fromEntries(files.map((file) => [file, "x"])),
  });
  for (
    const [files, message] of [
      [["config.json", "a.Q8_0.gguf"], "it has GGUF files; name one: hf:org/tiny/a.Q8_0.gguf"],
      [["config.json", "pytorch_model.bin"], "weights are in PyTorch's own format"],
      [["README.md"], "has no model.safetensors\n  hint: it has README.md"],
    ] as const
  ) {
    await withHub([repo([...files])], async ({ options }) => {
      await assertRefusesAsync(() => resolveModel(`hf:${NAME}`, options), UserError, message);
    });
  }
});

Deno.test("hub: a file that is larger than the disk is refused before its first byte", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    server.fault = ({ kind }) =>
      kind === "tree"
        ? Response.json([
          { type: "file", path: "model.safetensors", size: 2 ** 50, oid: "0".repeat(40) },
        ])
        : undefined;
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      "hf:org/tiny: 1.00 PiB to download, ",
    );
    server.fault = ({ kind }) =>
      kind === "tree"
        ? Response.json([{ type: "file", path: "../evil", size: 1, oid: "0".repeat(40) }])
        : undefined;
    const other = `hf:${NAME}@v1`;
    await Deno.remove(options.environment!.cacheFolder, { recursive: true });
    await assertRefusesAsync(
      () => resolveModel(other, options),
      UserError,
      'lists "../evil", which is not a valid path',
    );
    await Deno.mkdir(options.environment!.cacheFolder, { recursive: true });
  });
});

const isData = (path: string) => /\.(parquet|jsonl|json|csv|txt)$/.test(path);

/** Files, README, path in the spec, the selection or the error. */
const DATA: [string[], string, string, string[] | string][] = [
  [
    ["data/train-0.parquet", "data/train-1.parquet", "data/test-0.parquet", "dataset_infos.json"],
    "",
    "",
    [
      "data/train-0.parquet",
      "data/train-1.parquet",
    ],
  ],
  [["a.jsonl", "b.jsonl", "img.png"], "", "", ["a.jsonl", "b.jsonl"]],
  [["all.jsonl", "validation.jsonl"], "", "", ["all.jsonl"]],
  [["test.csv"], "", "", ["test.csv"]],
  [["train.parquet", "x/1.json", "x/2.json"], "", "", ["x/1.json", "x/2.json"]],
  [["b/1.json", "a.json", "b/train/2.json"], "", "/b", ["b/train/2.json"]],
  [["a/1.json", "b/1.json"], "", "/b/1.json", ["b/1.json"]],
  [["a/1.json", "b/1.json", "b/2.json"], "", "/*/1.json", ["a/1.json", "b/1.json"]],
  [["LICENSE.txt", "notes.txt", "a.json"], "", "", ["a.json"]],
  [["a.json"], "", "/c", "has no data file, folder, pattern or configuration c"],
  [["a.png"], "", "", "has no data file\n  hint: it has a.png"],
  [["set.py"], "", "", "it is generated by a script; the hub also keeps most of those as Parquet"],
  [
    ["en/train.json", "de/train.json", "de/test.json"],
    "configs:\n- config_name: en\n  data_files: en/*\n- config_name: de\n  default: true\n" +
    "  data_files:\n  - split: train\n    path: de/train*\n  - split: test\n    path: de/test*\n",
    "",
    ["de/train.json"],
  ],
  [
    ["x/1.json", "y/1.json"],
    "configs:\n- config_name: en\n  data_dir: x\n- config_name: de\n  data_files: [y/1.json]\n",
    "",
    "has several configurations and no default\n  hint: name one: hf:org/set/en, hf:org/set/de",
  ],
  [
    ["x/1.json", "y/1.json"],
    "configs:\n- config_name: en\n  data_dir: x\n- config_name: de\n  data_files: [y/1.json]\n",
    "/en",
    ["x/1.json"],
  ],
  [
    ["d/sft-0.json", "d/gen-0.json"],
    "configs:\n- config_name: default\n  data_files:\n  - split: train_sft\n    path: d/sft-*\n" +
    "  - split: train_gen\n    path: d/gen-*\n",
    "",
    "has no split train but train_sft, train_gen\n  hint: name the files: " +
    "hf:org/set/d/sft-* (train_sft), hf:org/set/d/gen-* (train_gen)",
  ],
  [["d/sft-0.json", "d/gen-0.json"], "configs: 5\n", "/d/sft-*", ["d/sft-0.json"]],
];

for (const [index, [files, yaml, path, expected]] of DATA.entries()) {
  Deno.test(`hub: data ${index + 1}: of ${files.join(", ")} takes ${expected}`, async () => {
    const readme = yaml && { "README.md": `---\n${yaml}---\n# Set` };
    const content = Object.fromEntries(files.map((file) => [file, `content of ${file}`]));
    const repo: HubRepo = { type: "dataset", name: "org/set", files: { ...content, ...readme } };
    await withHub([repo], async ({ cache, options }) => {
      const resolve = (spec: string) => resolveData(spec + path, isData, options);
      if (typeof expected === "string") {
        await assertRefusesAsync(() => resolve("hf:org/set"), UserError, expected);
        return;
      }
      const resolved = await resolve("hf:org/set");
      assertEquals(resolved, await resolve("hf:datasets/org/set"));
      assertEquals(resolved.files, expected);
      assertStringIncludes(resolved.folder, join(cache, "datasets--org--set", "snapshots"));
      for (const file of expected) {
        assertEquals(await Deno.readTextFile(join(resolved.folder, file)), `content of ${file}`);
      }
      assertEquals(
        await resolveData("hf:org/set" + path, isData, without(options, { offline: true })),
        resolved,
      );
    });
  });
}

Deno.test("hub: the environment is what Python's library reads", async () => {
  const home = await Deno.makeTempDir();
  try {
    await using server = new HubServer([MODEL]);
    await Deno.writeTextFile(join(home, "token"), "hf_file\n");
    const run = async (env: Record<string, string>) => {
      const module = import.meta.resolve("../../src/hub/hub.ts");
      const code = `import { resolveModel } from "${module}";` +
        `await resolveModel("hf:${NAME}").then(console.log, (e) => console.log(e.message));`;
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", code],
        cwd: fromFileUrl(import.meta.resolve("../..")),
        env: { HF_HOME: home, HF_ENDPOINT: server.endpoint + "/", HF_TOKEN: "", ...env },
      }).output();
      return new TextDecoder().decode(stdout).trim();
    };
    const folder = join(home, "hub", "models--org--tiny", "snapshots", commitOf(MODEL));
    assertStringIncludes(
      await run({ HF_HUB_OFFLINE: "1" }),
      "and HF_HUB_OFFLINE forbids downloads",
    );
    assertEquals(server.requests, []);
    assertEquals(await run({}), folder);
    assertEquals(server.requests[0].token, "Bearer hf_file");
    assertEquals(await run({ HF_TOKEN: "hf_env" }), folder);
    assertEquals(server.requests.at(-1)!.token, "Bearer hf_env");
    assertEquals(await run({ HF_HUB_OFFLINE: "1" }), folder);
    assertStringIncludes(
      await run({ HF_ENDPOINT: "nonsense" }),
      'HF_ENDPOINT: "nonsense" is not a URL',
    );
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

/** What of a repository is taken, and what the cache already has. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { resolveModel, resolveTokenizer } from "../../src/hub/hub.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import { assertRefusesAsync } from "../support_errors.ts";
import { commitOf, type HubRepo, sha256 } from "./hub_server.ts";
import { filesBelow, MODEL, NAME, NEEDED, NOBODY, WEIGHTS, withHub, without } from "./support.ts";

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

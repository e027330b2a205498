import { assertEquals, assertRejects } from "@std/assert";
import { listFiles } from "../../src/data/files.ts";
import { Corpus } from "../../src/data/sources.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { setHubDefaults } from "../../src/hub/hub.ts";
import { UserError } from "../../src/options/user_error.ts";
import { type HubRepo, HubServer } from "../hub/hub_server.ts";
import { DATA, jsonl } from "./support.ts";

const SET: HubRepo = {
  type: "dataset",
  name: "org/set",
  files: {
    "README.md": "---\nconfigs:\n- config_name: default\n  data_files: data/*\n---\n# Set",
    "LICENSE.md": "no data",
    "data/b.jsonl": jsonl(["three"]),
    "data/a.jsonl": jsonl(["one", "two"]),
  },
};

async function withHub(repos: HubRepo[], run: () => Promise<void>): Promise<void> {
  const cacheFolder = await Deno.makeTempDir();
  try {
    await using server = new HubServer(repos);
    const environment = { endpoint: server.endpoint, cacheFolder, offline: false, xet: true };
    setHubDefaults({ environment, retryDelayMs: 1 });
    await run();
  } finally {
    setHubDefaults({});
    await Deno.remove(cacheFolder, { recursive: true });
  }
}

Deno.test("data: a data set of the hub reads as its files", async () => {
  await withHub([SET], async () => {
    const { files } = await listFiles(["hf:org/set", "hf:datasets/org/set@main/data/b.jsonl"]);
    assertEquals(files.map(({ name }) => name), ["data/a.jsonl", "data/b.jsonl", "data/b.jsonl"]);
    const corpus = await Corpus.open(["hf:org/set"], {
      textField: "text",
      share: "all",
      heldOutShare: 0,
    });
    const pieces = await Array.fromAsync(corpus.pieces([0, 1]));
    assertEquals(pieces.map(({ text }) => text), ["one", "two", "three"]);
    await assertRejects(() => listFiles(["hf:org/none"]), UserError, "has no such dataset, rev");
  });
});

Deno.test("tokenizer: of a model on the hub", async () => {
  const folder = DATA + "tokenizer-gpt2/";
  const files = {
    "tokenizer.json": await Deno.readFile(folder + "tokenizer.json"),
    "tokenizer_config.json": await Deno.readFile(folder + "tokenizer_config.json"),
  };
  await withHub([{ name: "gpt2", files }, { name: "org/none", files: { a: "" } }], async () => {
    const expected = await loadTokenizer(folder);
    const actual = await loadTokenizer("hf:gpt2");
    assertEquals(actual.encode("a café"), expected.encode("a café"));
    await assertRejects(() => loadTokenizer("hf:org/none"), UserError, "tokenizer");
  });
});

/** What runs are compared by beside their options: a change of it is seen, and only that. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { join } from "@std/path";
import { type DataOptions, differenceText, madeWith } from "../../src/compare/made_with.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { LlamaConfig } from "../../src/model/config.ts";
import { ByteTokenizer } from "../../src/tokenizers/byte_tokenizer.ts";
import { PRESETS } from "../../src/model/config.ts";
import { tokenizerFromFiles } from "../../src/tokenizers/hf_tokenizer.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";

const GPU = { adapter: { description: "a card" } } as unknown as Gpu;

async function made(
  options: DataOptions,
  config: LlamaConfig = PRESETS.llama_nano,
  tokenizer: Tokenizer = new ByteTokenizer(),
) {
  return await madeWith(GPU, { config, tokenizer }, options);
}

Deno.test("the data's mark sees what dataset_info.json says of records", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const record = { instruction: "a", output: "b", other: "c" };
    await Deno.writeTextFile(join(folder, "d.json"), JSON.stringify([record, record]));
    const markOf = async (entry: object) => {
      const info = { d: { file_name: "d.json", ...entry } };
      await Deno.writeTextFile(join(folder, "dataset_info.json"), JSON.stringify(info));
      return (await made({ dataset: ["d"], datasetDir: folder })).data_mark;
    };
    const marks = [
      await markOf({}),
      await markOf({ num_samples: 1 }),
      await markOf({ num_samples: 2 }),
      await markOf({ columns: { prompt: "instruction", response: "output" } }),
      await markOf({ columns: { prompt: "instruction", response: "other" } }),
      await markOf({ formatting: "sharegpt" }),
    ];
    assertEquals(new Set(marks).size, marks.length, marks.join());
    assertEquals(await markOf({ file_sha1: "of no effect" }), marks[0]);
    // In another folder and at another time it is the same data; options are compared by themselves.
    const other = join(folder, "other");
    await Deno.mkdir(other);
    await Deno.copyFile(join(folder, "d.json"), join(other, "d.json"));
    const marksOf = [folder, other].map((each) => made({ data: [join(each, "d.json")] }));
    const [here, there] = await Promise.all(marksOf);
    assertEquals(here.data_mark, there.data_mark);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the model's mark sees its configuration and its tokenizer; a run without one is let be", async () => {
  const data = { data: [{ text: "a" }] };
  const tokenizer = (json: object) => {
    const bytes = new TextEncoder().encode(JSON.stringify({ ...WORDS, ...json }));
    return tokenizerFromFiles("tokenizer.json", new Map([["tokenizer.json", bytes]]));
  };
  const config = PRESETS.llama_nano, bytes = await made(data);
  const all = [
    bytes,
    await made(data, { ...config, rmsNormEps: 1e-3 }),
    await made(data, config, tokenizer({})),
    await made(data, config, tokenizer({ added_tokens: [] })),
  ];
  assertEquals(new Set(all.map(({ model_mark }) => model_mark)).size, all.length);
  assertEquals(new Set(all.map(({ data_mark }) => data_mark)).size, 1);
  assertEquals((await made(data, config, tokenizer({}))).model_mark, all[2].model_mark);

  assertEquals(differenceText(bytes, await made(data)), undefined);
  const text = differenceText(bytes, all[2])!;
  assert(text.startsWith("configuration or tokenizer of the model"), text);
  const { model_mark: _, ...old } = bytes;
  assertEquals(differenceText(old, bytes), undefined);
  assertNotEquals(differenceText({ ...old, data_mark: "other" }, bytes), undefined);
});

/** Of a vocabulary of two words. */
const WORDS = {
  version: "1.0",
  added_tokens: [{
    id: 2,
    content: "<e>",
    special: true,
    lstrip: false,
    rstrip: false,
    single_word: false,
    normalized: false,
  }],
  normalizer: null,
  pre_tokenizer: { type: "Whitespace" },
  post_processor: null,
  decoder: null,
  model: { type: "WordLevel", vocab: { a: 0, "[UNK]": 1 }, unk_token: "[UNK]" },
};

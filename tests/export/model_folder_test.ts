import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import {
  conversing,
  conversingAs,
  readBaseFiles,
  withEnds,
  writeModelFolder,
  writeTokenizer,
} from "../../src/export/model_folder.ts";
import { writeHfConfig } from "../../src/formats/hf_config.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { tokenizers } from "../data/instruct/support.ts";
import { TINY } from "../train/support.ts";

const CHAT = fromFileUrl(import.meta.resolve("../fixtures/instruct/tokenizer-chat"));
/** Ids of tokenizer-chat. */
const END_OF_TEXT = 0, IM_END = 401;

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const json = async (...parts: string[]) => JSON.parse(await Deno.readTextFile(join(...parts)));

for (
  const [own, ends, expected] of [
    [undefined, [], undefined],
    [undefined, [7], 7],
    [2, [2], 2],
    [2, [2, 7], [2, 7]],
    [[2, 7], [7], [2, 7]],
    [[2], [2], [2]],
    [[2, 7], [9, 2], [2, 7, 9]],
    [null, [7, 9], [7, 9]],
  ] as const
) {
  Deno.test(`eos ids: ${JSON.stringify(own)} and ${JSON.stringify(ends)}`, () => {
    assertEquals<unknown>(withEnds(own, ends), expected);
  });
}

/** A base model's folder, without weights. */
async function makeBase(folder: string, files: Record<string, unknown>): Promise<string> {
  const base = join(folder, "base");
  await Deno.mkdir(base);
  for (const [name, content] of Object.entries(files)) {
    await Deno.writeTextFile(join(base, name), JSON.stringify(content));
  }
  return base;
}

Deno.test("a base model tuned on dialogues: the end of a turn and the template, everywhere", () =>
  withFolder(async (folder) => {
    await writeHfConfig(folder, TINY, "float32");
    const config = {
      ...await json(folder, "config.json"),
      eos_token_id: END_OF_TEXT,
      of_its_own: [1],
    };
    const base = await makeBase(folder, {
      "config.json": config,
      "generation_config.json": { temperature: 0.6, do_sample: true, eos_token_id: END_OF_TEXT },
    });
    // Left by an earlier run into the same folder.
    await Deno.writeTextFile(join(folder, "chat_template.json"), '{"chat_template": "old"}');
    await Deno.mkdir(join(folder, "additional_chat_templates"));
    await Deno.writeTextFile(join(folder, "additional_chat_templates/rag.jinja"), "old");
    const tokenizer = await tokenizerWith(folder, { chat_template: "old" });
    await writeModelFolder(folder, {
      config: TINY,
      dtype: "bfloat16",
      base: await readBaseFiles(base),
      tokenizer,
      conversing: conversing("chatml", tokenizer),
    });
    const eos_token_id = [END_OF_TEXT, IM_END];
    assertEquals(await json(folder, "config.json"), {
      ...config,
      dtype: "bfloat16",
      torch_dtype: "bfloat16",
      eos_token_id,
    });
    assertEquals(await json(folder, "generation_config.json"), {
      temperature: 0.6,
      do_sample: true,
      eos_token_id,
    });
    const template = await Deno.readTextFile(join(folder, "chat_template.jinja"));
    assertMatch(template, /<\|im_end\|>/);
    assert(!template.includes("generation %}"));
    assertEquals((await json(folder, "tokenizer_config.json")).chat_template, template);
    assertEquals((await loadTokenizer(folder)).chatTemplate, template);
    assertEquals(await exists(folder, "chat_template.json"), false);
    assertEquals(await exists(folder, "additional_chat_templates"), false);
  }));

Deno.test("files that already say all stay as they are, to the byte", () =>
  withFolder(async (folder) => {
    const base = await makeBase(folder, {
      "config.json": { model_type: "llama", eos_token_id: [END_OF_TEXT, IM_END] },
    });
    const odd = '{ "eos_token_id":[401,  0],\n"top_k":20 }';
    await Deno.writeTextFile(join(base, "generation_config.json"), odd);
    const tokenizer = await tokenizerWith(folder, {});
    await writeModelFolder(folder, {
      config: TINY,
      dtype: "float32",
      base: await readBaseFiles(base),
      tokenizer,
      conversing: conversing("chatml", tokenizer),
    });
    assertEquals(await Deno.readTextFile(join(folder, "generation_config.json")), odd);
    assertEquals((await json(folder, "config.json")).eos_token_id, [END_OF_TEXT, IM_END]);
  }));

Deno.test("the tokenizer's own template: one in both places, several as they were, or none", () =>
  withFolder(async (folder) => {
    const own = "{{ messages[0].content }}";
    const save = async (name: string, config: Record<string, unknown>) => {
      const to = join(folder, name);
      await Deno.mkdir(to);
      await Deno.writeTextFile(join(to, "chat_template.jinja"), "of an earlier run");
      const tokenizer = await tokenizerWith(join(folder, name), config);
      await writeTokenizer(to, tokenizer, conversing("default", tokenizer));
      const file = await Deno.readTextFile(join(to, "chat_template.jinja")).catch(() => null);
      return [file, (await json(to, "tokenizer_config.json")).chat_template];
    };
    assertEquals(await save("one", { chat_template: own }), [own, own]);
    const named = [{ name: "default", template: own }, { name: "tool_use", template: "tools" }];
    assertEquals(await save("several", { chat_template: named }), [null, named]);
    assertEquals(await save("none", {}), [null, undefined]);
  }));

Deno.test("a model of bytes keeps the template it was tuned with", () =>
  withFolder(async (folder) => {
    const bytes = await loadTokenizer("bytes");
    await writeTokenizer(folder, bytes, conversing("chatml", bytes));
    const saved = await loadTokenizer(folder);
    assertMatch(saved.chatTemplate!, /<\|im_end\|>/);
    const text = "naïve <|endoftext|>漢\u0000\r\n 👍";
    assertEquals(saved.encode(text), bytes.encode(text));
    assertEquals(saved.decode([0xe6, 256, 0xff, 65]), bytes.decode([0xe6, 256, 0xff, 65]));
  }));

Deno.test("a template that is no template does not stand in the way of a model of plain texts", () =>
  withFolder(async (folder) => {
    const tokenizer = await tokenizerWith(folder, { chat_template: "{% if %}" });
    assertEquals(conversing("default", tokenizer), { ends: [END_OF_TEXT] });
  }));

Deno.test("what a card says of dialogues", () => {
  const { chat, llama } = tokenizers;
  assertMatch(
    conversing("chatml", chat).about!,
    /template chatml, .* ends with `<\|im_end\|>` \(id 401\)\.$/,
  );
  assertMatch(conversing("chatml", llama).about!, /ends with `<\|im_end\|>`\.$/); // spelled out
  assertEquals(conversing("chatml", llama).ends, [llama.eosTokenId!]);
  assertMatch(conversingAs("{{ messages[1].content }}", chat).about!, /with the tokenizer\.$/);
});

/** tokenizer-chat with other settings. */
async function tokenizerWith(folder: string, settings: Record<string, unknown>) {
  const from = join(folder, "tokenizer");
  await Deno.mkdir(from);
  await Deno.copyFile(join(CHAT, "tokenizer.json"), join(from, "tokenizer.json"));
  const config = { ...await json(CHAT, "tokenizer_config.json"), ...settings };
  await Deno.writeTextFile(join(from, "tokenizer_config.json"), JSON.stringify(config));
  return await loadTokenizer(from);
}

function exists(...parts: string[]): Promise<boolean> {
  return Deno.stat(join(...parts)).then(() => true, () => false);
}

import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { Engine } from "../../src/tokenizers/engine.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { TextStream } from "../../src/tokenizers/tokenizer.ts";
import { assertRefuses, assertRefusesAsync } from "../support_errors.ts";

const DATA = fromFileUrl(import.meta.resolve("../fixtures/data/"));

interface Expected {
  vocab_size: number;
  bos: number;
  eos: number;
  cases: { text: string; ids: number[]; plain: number[]; decoded: string; skipped: string }[];
}

for (const name of ["tokenizer-gpt2", "tokenizer-llama"]) {
  Deno.test(`${name}: ids and text agree with transformers`, async () => {
    const expected: Expected = JSON.parse(
      await Deno.readTextFile(join(DATA, name, "expected.json")),
    );
    const tokenizer = await loadTokenizer(DATA + name);
    assertEquals(tokenizer.vocabSize, expected.vocab_size);
    assertEquals([tokenizer.bosTokenId, tokenizer.eosTokenId], [expected.bos, expected.eos]);
    for (const { text, ids, plain, decoded, skipped } of expected.cases) {
      assertEquals(tokenizer.encode(text), ids, text);
      assertEquals(tokenizer.encode(text, { addSpecialTokens: false }), plain, text);
      assertEquals(tokenizer.decode(ids), decoded, text);
      assertEquals(tokenizer.decode(ids, { skipSpecialTokens: true }), skipped, text);
    }
  });

  Deno.test(`${name}: a saved copy is the same, and complete without a config`, async () => {
    await inFolder(async (folder) => {
      const tokenizer = await loadTokenizer(DATA + name);
      await tokenizer.save(folder);
      for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
        const original = await Deno.readFile(join(DATA, name, file));
        assertEquals(await Deno.readFile(join(folder, file)), original);
      }
      await Deno.remove(join(folder, "tokenizer_config.json"));
      const lone = await loadTokenizer(join(folder, "tokenizer.json"));
      assertEquals(lone.eosTokenId, tokenizer.eosTokenId); // by its usual name
      await lone.save(folder);
      const config = JSON.parse(await Deno.readTextFile(join(folder, "tokenizer_config.json")));
      assertEquals(config.tokenizer_class, "PreTrainedTokenizerFast");
      assertEquals((await loadTokenizer(folder)).encode("Speak"), tokenizer.encode("Speak"));
    });
  });

  Deno.test(`${name}: streamed text is the text`, async () => {
    const tokenizer = await loadTokenizer(DATA + name);
    const text = "First — naïve 漢字 🙂👩‍👩‍👧 end";
    const stream = new TextStream(tokenizer, { skipSpecialTokens: true });
    const pieces = tokenizer.encode(text).map((id) => stream.push(id));
    pieces.push(stream.flush());
    assertEquals(pieces.join(""), text);
    assertEquals(pieces.some((piece) => piece.includes("\ufffd")), false);
  });
}

Deno.test("bytes: ids are the bytes of UTF-8, and one more for the end of a text", async () => {
  const tokenizer = await loadTokenizer("bytes");
  assertEquals([tokenizer.vocabSize, tokenizer.bosTokenId, tokenizer.eosTokenId], [257, null, 256]);
  assertEquals(tokenizer.encode("aé🙂"), [97, 195, 169, 240, 159, 153, 130]);
  assertEquals(tokenizer.encode("a<|endoftext|>"), [97, 256]);
  assertEquals(tokenizer.decode([97, 256, 98]), "a<|endoftext|>b");
  assertEquals(tokenizer.decode([97, 256, 98], { skipSpecialTokens: true }), "ab");
  assertEquals(tokenizer.decode([195, 256, 97, 169]), "\ufffd<|endoftext|>a\ufffd");
  const long = "\ufeffé".repeat(200_000);
  assertEquals(tokenizer.decode(tokenizer.encode(long)), long);
});

Deno.test("bytes: every byte is the same token in the saved tokenizer.json", async () => {
  await inFolder(async (folder) => {
    const tokenizer = await loadTokenizer("bytes");
    await tokenizer.save(folder);
    const other = new Engine(await Deno.readFile(join(folder, "tokenizer.json")), null);
    const ids = (text: string) =>
      Array.from(other.encode(text, { addSpecialTokens: true, offsets: false }).ids);
    // U+0000 to U+FFFF and some beyond: every possible byte of UTF-8.
    for (let code = 0; code < 0x20000; code += 29) {
      if (code >= 0xd800 && code < 0xe000) continue;
      const text = String.fromCodePoint(code) + "a\n";
      assertEquals(ids(text), tokenizer.encode(text));
    }
    const text = "x<|endoftext|> y";
    assertEquals(ids(text), tokenizer.encode(text));
    assertEquals(other.decode(tokenizer.encode(text), false), text);
    assertEquals((await loadTokenizer(folder)).constructor, tokenizer.constructor);
  });
});

Deno.test("TextStream: bytes that are no text come out at the end, and are not held for ever", async () => {
  const stream = new TextStream(await loadTokenizer("bytes"));
  assertEquals([240, 159, 153].map((id) => stream.push(id)), ["", "", ""]);
  assertEquals(stream.push(130), "🙂");
  assertEquals(stream.push(195), "");
  assertEquals(stream.flush(), "\ufffd");
  const junk = Array.from({ length: 40 }, () => stream.push(128)).join("");
  assertEquals(junk.length > 0, true);
  assertEquals((junk + stream.flush()).length, 40);
});

Deno.test("tokenizers: the chat template and the special tokens, wherever the folder keeps them", async () => {
  await inFolder(async (folder) => {
    const write = (name: string, text: string) => Deno.writeTextFile(join(folder, name), text);
    const source = join(DATA, "tokenizer-gpt2", "tokenizer.json");
    await Deno.copyFile(source, join(folder, "tokenizer.json"));
    const template = async (config: unknown) => {
      await write("tokenizer_config.json", JSON.stringify(config));
      return (await loadTokenizer(folder)).chatTemplate;
    };
    assertEquals(await template({}), null);
    assertEquals(await template({ chat_template: "{{ a }}" }), "{{ a }}");
    const named = [{ name: "tool_use", template: "t" }, { name: "default", template: "d" }];
    assertEquals(await template({ chat_template: named }), "d");
    assertEquals((await loadTokenizer(folder)).toolTemplate, "t");
    assertEquals(await template({ chat_template: named.slice(0, 1) }), null);
    await write("chat_template.json", '{"chat_template": "old"}');
    assertEquals([await template({}), await template({ chat_template: "c" })], ["old", "c"]);
    await write("chat_template.jinja", "{{ file }}");
    assertEquals(await template({ chat_template: "{{ a }}" }), "{{ file }}");
    await Deno.mkdir(join(folder, "additional_chat_templates"));
    await write("additional_chat_templates/tool_use.jinja", "{{ tools }}");
    assertEquals(await template({ chat_template: named }), "{{ file }}");
    const tokenizer = await loadTokenizer(folder);
    assertEquals(tokenizer.toolTemplate, "{{ tools }}");
    await tokenizer.save(join(folder, "saved"));
    assertEquals((await loadTokenizer(join(folder, "saved"))).toolTemplate, "{{ tools }}");
    const end = "<|endoftext|>";
    await template({ sep_token: "!", add_bos_token: true, extra_special_tokens: { image: end } });
    const { others } = (await loadTokenizer(folder)).specialTokens;
    assertEquals(others, { sep_token: "!", image: end });
    await template({ bos_token: null, eos_token: { content: end }, pad_token: "!" });
    const { specialTokens } = await loadTokenizer(folder);
    assertEquals(specialTokens, { bosToken: null, eosToken: end, unkToken: null, padToken: "!" });
  });
  const bytes = await loadTokenizer("bytes");
  assertEquals([bytes.chatTemplate, bytes.specialTokens.eosToken], [null, "<|endoftext|>"]);
});

Deno.test("tokenizers: a broken file is refused by name, with what is wrong", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "tokenizer.json");
    const refused = (message: string, spec = path) =>
      assertRefusesAsync(() => loadTokenizer(spec), UserError, message);
    await refused("no such file or folder");
    await refused("cannot be read", folder);
    const whole = await Deno.readTextFile(join(DATA, "tokenizer-gpt2", "tokenizer.json"));
    const withJson = (edit: (json: Record<string, unknown>) => void) => {
      const json = JSON.parse(whole);
      edit(json);
      return Deno.writeTextFile(path, JSON.stringify(json));
    };
    await Deno.writeTextFile(path, whole.slice(0, 5000));
    await refused("tokenizer.json: is not valid JSON");
    await refused("bytes; is it truncated?");
    await Deno.writeTextFile(path, "[]");
    await refused("tokenizer.json: must be a JSON object");
    await Deno.writeTextFile(path, "{}");
    await refused("tokenizer.json: is not a tokenizer: model.vocab is missing");
    await withJson((json) => json.decoder = { type: "Magic" });
    await refused('is not a tokenizer: decoder is not understood: {"type":"Magic"}');
    const digits = { type: "Digits", individual_digits: true };
    await withJson((json) =>
      json.pre_tokenizer = { type: "Sequence", pretokenizers: [digits, { type: "Magic" }] }
    );
    await refused('is not a tokenizer: pre_tokenizer is not understood: {"type":"Magic"}');
    await withJson((json) => (json.model as Record<string, unknown>).dropout = 0.1);
    await refused("model.dropout is 0.1: every encoding of a text would be another");
    await withJson(() => {});
    await Deno.writeTextFile(join(folder, "tokenizer_config.json"), '{"eos_token": "<end>"}');
    await refused('eos_token "<end>" is not in the vocabulary', folder);
    await Deno.writeTextFile(join(folder, "tokenizer_config.json"), '{"eos_token":');
    await refused("tokenizer_config.json: is not valid JSON", folder);
    await refused("names a dataset where a model is needed", "hf:datasets/org/name");
  });
});

Deno.test("tokenizers: an id outside the vocabulary is refused", async () => {
  const tokenizer = await loadTokenizer(DATA + "tokenizer-gpt2");
  assertRefuses(
    () => tokenizer.decode([5, 400]),
    UserError,
    "has no token 400, its vocabulary is 4",
  );
  assertEquals(tokenizer.decode([]), "");
  const bytes = await loadTokenizer("bytes");
  assertRefuses(() => bytes.decode([5, 257]), UserError, "bytes: has no token 257");
});

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { tokenizerFromFiles } from "../../src/tokenizers/hf_tokenizer.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { readGgufHeader } from "../../src/formats/gguf/header.ts";
import { Metadata } from "../../src/formats/gguf/metadata.ts";
import { ggufTokenizerWarnings, readGgufTokenizer } from "../../src/formats/gguf/tokenizer_in.ts";
import { tokenizerMetadata } from "../../src/export/gguf_tokenizer.ts";
import { UserError } from "../../src/options/user_error.ts";
import { assertRefuses } from "../support_errors.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/gguf/"));
const DATA = fromFileUrl(import.meta.resolve("../fixtures/data/"));

interface Expected {
  readonly texts: readonly string[];
  readonly "llama.cpp": Record<string, number[][]>;
  readonly transformers: Record<string, number[][]>;
}
const expected: Expected = JSON.parse(await Deno.readTextFile(FIXTURES + "tokens.json"));

function assertSameIds(tokenizer: Tokenizer, ids: readonly number[][], what: string): void {
  expected.texts.forEach((text, i) =>
    assertEquals(tokenizer.encode(text), ids[i], `${what}: ${JSON.stringify(text)}`)
  );
}

/** The byte-level vocabulary of llama.gguf, with other values in its metadata. */
async function byteLevel(changes: Record<string, unknown>): Promise<Metadata> {
  const { metadata } = await readGgufHeader(FIXTURES + "llama.gguf");
  return new Metadata("model.gguf", { ...metadata.values, ...changes });
}

for (const pre of ["gpt-2", "smollm", "llama-bpe", "qwen2", "tekken", "default"]) {
  Deno.test(`gguf tokenizer: byte-level, ${pre}: ids of llama.cpp and transformers`, async () => {
    const metadata = await byteLevel({ "tokenizer.ggml.pre": pre });
    const tokenizer = tokenizerFromFiles("model.gguf", readGgufTokenizer(metadata));
    assertSameIds(tokenizer, expected["llama.cpp"][pre], "llama.cpp");
    if (pre in expected.transformers) {
      assertSameIds(tokenizer, expected.transformers[pre], "transformers");
    }
  });
}

Deno.test("gguf tokenizer: how text is split, where the file does not name it, as llama.cpp, with a warning", async () => {
  const warnings = async (pre: string | undefined) => {
    const metadata = await byteLevel({ "tokenizer.ggml.pre": pre });
    const tokenizer = tokenizerFromFiles("model.gguf", readGgufTokenizer(metadata));
    const scheme = pre === undefined ? "default" : pre;
    assertSameIds(tokenizer, expected["llama.cpp"][scheme], "llama.cpp");
    return ggufTokenizerWarnings(metadata);
  };
  assertEquals(await warnings("gpt-2"), []);
  const assumed = "text is split by llama.cpp's default rule, which is probably not the one that " +
    "the model was trained with; convert the model again with a newer llama.cpp";
  assertEquals(await warnings("default"), [
    `model.gguf: tokenizer.ggml.pre is "default": ${assumed}`,
  ]);
  assertEquals(await warnings(undefined), [
    `model.gguf: tokenizer.ggml.pre is missing: ${assumed}`,
  ]);
  const spm = await readGgufHeader(`${FIXTURES}spm.gguf`);
  assertEquals(ggufTokenizerWarnings(spm.metadata), []);
});

for (const name of ["spm", "gemma"]) {
  Deno.test(`gguf tokenizer: SentencePiece, ${name}: ids of llama.cpp`, async () => {
    const tokenizer = await loadTokenizer(`${FIXTURES}${name}.gguf`);
    assertSameIds(tokenizer, expected["llama.cpp"][name], "llama.cpp");
    for (const text of ["First Citizen: speak.", "naïve 漢字 🙂\n\n", "a   b"]) {
      assertEquals(tokenizer.decode(tokenizer.encode(text), { skipSpecialTokens: true }), text);
    }
  });
}

Deno.test("gguf tokenizer: special tokens, chat template, tokens that only fill up", async () => {
  const tokenizer = await loadTokenizer(FIXTURES + "llama.gguf");
  const { bosTokenId, eosTokenId, specialTokens, chatTemplate, vocabSize } = tokenizer;
  assertEquals([bosTokenId, eosTokenId], [0, 0]);
  // 400 of the vocabulary and one of a user's; the last of the model's 402 ids has no token.
  assertEquals(vocabSize, 401);
  assertEquals(specialTokens.eosToken, "<|endoftext|>");
  assertEquals(specialTokens.padToken, null);
  assertEquals(chatTemplate?.startsWith("{% for message"), true);
  assertEquals(tokenizer.encode("<|user|>").length, 1);
  assertEquals(tokenizer.decode([400, 0], { skipSpecialTokens: true }), "<|user|>");
  const spm = await loadTokenizer(FIXTURES + "spm.gguf");
  assertEquals(spm.specialTokens, {
    bosToken: "<s>",
    eosToken: "</s>",
    unkToken: "<unk>",
    padToken: null,
  });
});

Deno.test("gguf tokenizer: a chat template for tools, read, and written as gguf-py does", async () => {
  const named = {
    "tokenizer.chat_template": "{{ default }}",
    "tokenizer.chat_templates": ["tool_use", "rag"],
    "tokenizer.chat_template.tool_use": "{{ tools }}",
  };
  const files = readGgufTokenizer(await byteLevel(named));
  const source = tokenizerFromFiles("model.gguf", files);
  assertEquals([source.chatTemplate, source.toolTemplate], ["{{ default }}", "{{ tools }}"]);
  const copy = writtenAndRead("named", files, 402);
  assertEquals([copy.chatTemplate, copy.toolTemplate], ["{{ default }}", "{{ tools }}"]);
});

for (const name of ["tokenizer-gpt2", "tokenizer-llama"]) {
  Deno.test(`gguf tokenizer: ${name}, written and read again, gives the same ids`, async () => {
    const source = await loadTokenizer(DATA + name);
    const files = (source as Tokenizer & { files: Map<string, Uint8Array<ArrayBuffer>> }).files;
    const copy = writtenAndRead(DATA + name, files, source.vocabSize + 3);
    assertEquals(copy.vocabSize, source.vocabSize);
    assertEquals(copy.specialTokens, source.specialTokens);
    for (const text of expected.texts) {
      assertEquals(copy.encode(text), source.encode(text), JSON.stringify(text));
    }
  });
}

Deno.test("gguf tokenizer: tokens that are declared beside tokenizer.json are written, too", async () => {
  const { files } = await loadTokenizer(DATA + "tokenizer-gpt2") as Tokenizer & {
    files: Map<string, Uint8Array<ArrayBuffer>>;
  };
  const token = (content: string, special: boolean) => ({
    content,
    special,
    lstrip: false,
    rstrip: false,
    normalized: false,
    single_word: false,
  });
  const config = {
    added_tokens_decoder: { 400: token("<|turn|>", true), 401: token("<|plain|>", false) },
    eos_token: "<|turn|>",
  };
  const declared = new Map([
    ...files,
    ["tokenizer_config.json", new TextEncoder().encode(JSON.stringify(config))] as const,
  ]);
  const source = tokenizerFromFiles("x", declared), copy = writtenAndRead("x", declared, 405);
  assertEquals([copy.eosTokenId, copy.vocabSize], [400, 402]);
  const text = "Hello<|turn|> there<|plain|>";
  assertEquals(copy.encode(text), source.encode(text));
  assertEquals(copy.encode(text).filter((id) => id >= 400), [400, 401]);
  const ids = copy.encode(text);
  assertEquals(copy.decode(ids, { skipSpecialTokens: true }), "Hello there<|plain|>");
});

Deno.test("gguf tokenizer: one that reads like those of llama.gguf and gemma.gguf", async () => {
  for (const name of ["llama", "spm", "gemma"]) {
    const { metadata } = await readGgufHeader(`${FIXTURES}${name}.gguf`);
    const files = readGgufTokenizer(metadata);
    const source = tokenizerFromFiles(name, files), copy = writtenAndRead(name, files, 700);
    assertEquals(copy.chatTemplate, source.chatTemplate);
    for (const text of expected.texts) {
      assertEquals(copy.encode(text), source.encode(text), `${name}: ${JSON.stringify(text)}`);
    }
  }
});

function writtenAndRead(
  origin: string,
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
  vocabSize: number,
): Tokenizer {
  const typed = Object.entries(tokenizerMetadata(origin, files, vocabSize));
  const values = Object.fromEntries(typed.map(([key, { value }]) => [key, value]));
  return tokenizerFromFiles("copy", readGgufTokenizer(new Metadata("copy.gguf", values)));
}

Deno.test("gguf tokenizer: what is not supported is refused by name", async () => {
  const refused = async (changes: Record<string, unknown>, message: string) => {
    const metadata = await byteLevel(changes);
    assertRefuses(() => readGgufTokenizer(metadata), UserError, message);
  };
  await refused({ "tokenizer.ggml.pre": "viking" }, "pre-tokenizer viking is not supported");
  await refused({ "tokenizer.ggml.model": "bert" }, "tokenizer bert is not supported");
  await refused({ "tokenizer.ggml.tokens": undefined }, "lacks tokenizer.ggml.tokens");
  await refused({ "tokenizer.ggml.token_type": [1, 2] }, "token_type lists 2 tokens of 402");
  await refused({ "tokenizer.ggml.eos_token_id": 402 }, "eos_token_id 402 is not in the");
  const files = (await loadTokenizer(DATA + "tokenizer-gpt2") as Tokenizer & {
    files: Map<string, Uint8Array<ArrayBuffer>>;
  }).files;
  // llama.cpp needs a row for each token, and none for a token without: it is cut, as by its converter.
  const whole = tokenizerMetadata("x", files, 400), cut = tokenizerMetadata("x", files, 399);
  const tokensOf = (metadata: typeof whole) => metadata["tokenizer.ggml.tokens"].value as string[];
  assertEquals(tokensOf(cut), tokensOf(whole).slice(0, 399));
  assertEquals((cut["tokenizer.ggml.token_type"].value as number[]).length, 399);
  for (const [key, { value }] of Object.entries(cut)) {
    if (key.endsWith("_token_id")) assert(Number(value) < 399, key);
  }
  const edited = (changes: Record<string, unknown>) => {
    const json = JSON.parse(new TextDecoder().decode(files.get("tokenizer.json")));
    const bytes = new TextEncoder().encode(JSON.stringify({ ...json, ...changes }));
    return new Map([...files, ["tokenizer.json", bytes]]);
  };
  const preTokenizer = {
    type: "Split",
    pattern: { Regex: "x" },
    behavior: "Isolated",
    invert: false,
  };
  assertRefuses(
    () => tokenizerMetadata("x", edited({ pre_tokenizer: preTokenizer }), 400),
    UserError,
    "those of gpt-2, smollm, llama-bpe, qwen2, tekken, default can",
  );
});

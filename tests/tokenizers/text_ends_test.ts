import { assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { BatchStream } from "../../src/data/batches.ts";
import { encodeExample } from "../../src/data/instruct/encode.ts";
import type { Example } from "../../src/data/instruct/example.ts";
import { encodePairs } from "../../src/eval/scoring.ts";
import { UserError } from "../../src/options/user_error.ts";
import { ByteTokenizer } from "../../src/tokenizers/byte_tokenizer.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { encodePrompt, encodeStart, TextEnds } from "../../src/tokenizers/text_ends.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";

const DATA = fromFileUrl(import.meta.resolve("../fixtures/data/"));
/** Starts every text with <s>, id 1; the end of a text is </s>, id 2. */
const llama = await loadTokenizer(DATA + "tokenizer-llama");
const bare = (text: string) => llama.encode(text, { addSpecialTokens: false });

Deno.test("a prompt that begins with BOS gets no second one", () => {
  assertEquals(encodePrompt(llama, "hi"), { ids: [1, ...bare("hi")] });
  const { ids, note } = encodePrompt(llama, "<s>hi");
  assertEquals(ids, [1, ...bare("hi")]);
  assertEquals(note, "the prompt already has <s>: not added again");
  assertEquals(encodePrompt(llama, ""), { ids: [1] });
  // Two that are written are meant.
  assertEquals(encodePrompt(llama, "<s><s>hi").ids, [1, 1, ...bare("hi")]);
  assertEquals(encodePairs(llama, "<s>hi", [" you"]), encodePairs(llama, "hi", [" you"]));
});

Deno.test("a text begins with BOS, or else a new line, or else EOS", () => {
  assertEquals(encodeStart(llama, "hi"), encodePrompt(llama, "hi"));
  assertEquals(encodeStart(llama, ""), { ids: [1] });
  const bytes = new ByteTokenizer();
  const note = "the prompt has no tokens: starting from a new line";
  assertEquals(encodeStart(bytes, ""), { ids: [10], note });
  // One that adds nothing, and drops new lines.
  const own = { ...bytes, encode: () => [] } as unknown as Tokenizer;
  assertEquals(encodeStart(own, "?").ids, [256]);
  assertEquals(encodeStart({ ...own, bosTokenId: 7 }, "?").ids, [7]);
  assertThrows(
    () => encodeStart({ ...own, eosTokenId: null }, "?"),
    UserError,
    "the prompt has no tokens, and the tokenizer has none to start from",
  );
});

Deno.test("examples and documents have one BOS and one EOS, whoever wrote them", async () => {
  const encoded = (example: Example) => {
    const ends = new TextEnds(llama),
      template = () => {
        throw new Error("no template is needed");
      };
    const { ids, trained } = encodeExample(example, {
      tokenizer: llama,
      template,
      vocabSize: 1000,
      ends,
    });
    return { ids, trained: trained.join(""), note: ends.note() };
  };
  const where = "x.jsonl:1",
    note = "some texts already have <s> and </s>: a second is not added";
  const text = encoded({ kind: "text", text: "Speak", where });
  assertEquals(text.note, null);
  assertEquals(encoded({ kind: "text", text: "<s>Speak</s>", where }), { ...text, note });
  const pair = encoded({ kind: "completion", prompt: "To be", completion: " or not", where });
  assertEquals(
    encoded({ kind: "completion", prompt: "<s>To be", completion: " or not</s>", where }),
    { ...pair, note },
  );
  const rows = async (documents: string[]) => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(
        `${folder}/a.jsonl`,
        documents.map((text) => JSON.stringify({ text })).join("\n"),
      );
      const stream = await BatchStream.open({
        data: [folder],
        evalData: [folder],
        split: "eval",
        tokenizer: llama,
        batchSize: 1,
        seqLen: 8,
      });
      const inputs = [];
      for await (const batch of stream) inputs.push([...batch.inputs], [...batch.targets]);
      return { inputs, notes: stream.takeNotes(), again: stream.takeNotes() };
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  };
  const plain = await rows(["Speak, speak.", "To be or not"]);
  assertEquals(plain.notes, []);
  const written = await rows(["<s>Speak, speak.</s>", "<s>To be or not</s>"]);
  assertEquals(written, { ...plain, notes: [note] });
});

Deno.test("a corpus in characters that the tokenizer lacks is noted", async () => {
  const kinds = JSON.parse(
    await Deno.readTextFile(new URL("../fixtures/tokenizers/kinds.json", import.meta.url)),
  );
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/tokenizer.json`,
      JSON.stringify(kinds.kinds.bpe_unknown.tokenizer),
    );
    await Deno.writeTextFile(`${folder}/a.txt`, "Hello ᚠ world ".repeat(20));
    const stream = await BatchStream.open({
      data: [`${folder}/a.txt`],
      evalData: [`${folder}/a.txt`],
      split: "eval",
      tokenizer: await loadTokenizer(folder),
      batchSize: 1,
      seqLen: 8,
    });
    for await (const _ of stream);
    const [note] = stream.takeNotes();
    assertEquals(
      /^\d+% of the tokens are unknown to this tokenizer \(20 of \d+\), most often "ᚠ"$/.test(note),
      true,
      note,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

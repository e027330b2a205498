import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { BatchStream, type DataOptions, type DataPosition } from "../../src/data/batches.ts";
import { type Batch, IGNORED } from "../../src/model/batch.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { UserError } from "../../src/options/user_error.ts";
import { c4Texts, DATA, jsonl, SHAKESPEARE, withFiles } from "./support.ts";
import { assertRefusesAsync } from "../support_errors.ts";

const tokenizer = await loadTokenizer("bytes");
const llama = await loadTokenizer(DATA + "tokenizer-llama");

const PLAIN = {
  split: "train",
  tokenizer,
  batchSize: 1,
  seqLen: 16,
  heldOutShare: 0,
  shuffleBuffer: 0,
  repeat: false,
} as const;

async function batchesOf(options: DataOptions, limit = Infinity): Promise<Batch[]> {
  const stream = await BatchStream.open(options);
  const batches: Batch[] = [];
  for await (const batch of stream) if (batches.push(batch) >= limit) break;
  await stream.close();
  return batches;
}

/** A row as its input and the targets that are not ignored. */
function rowsOf(batches: Batch[], seqLen: number): { inputs: number[]; targets: number[] }[] {
  return batches.flatMap(({ inputs, targets }) =>
    Array.from({ length: inputs.length / seqLen }, (_, row) => ({
      inputs: Array.from(inputs.subarray(row * seqLen, (row + 1) * seqLen)),
      targets: Array.from(targets.subarray(row * seqLen, (row + 1) * seqLen)),
    }))
  );
}

/** The token stream that packing should cut, built at once. */
function packedTokens(texts: readonly string[], tokenizer: Tokenizer): number[] {
  return texts.flatMap((text) => [...tokenizer.encode(text), tokenizer.eosTokenId!]);
}

for (const [name, of] of [["bytes", tokenizer], ["llama", llama]] as const) {
  Deno.test(`packed, ${name}: rows are the stream of tokens, none lost, none twice`, async () => {
    const texts = (await c4Texts()).slice(0, 5);
    const tokens = packedTokens(texts, of);
    await withFiles({ "a.jsonl": jsonl(texts) }, async (folder) => {
      const options = { ...PLAIN, data: [folder], tokenizer: of, batchSize: 3 };
      const batches = await batchesOf(options);
      const rows = rowsOf(batches, 16);
      const predicted = rows.flatMap(({ targets }) => targets.filter((t) => t !== IGNORED));
      assertEquals(predicted, tokens.slice(1));
      assertEquals(batches.reduce((sum, batch) => sum + batch.tokens, 0), tokens.length - 1);
      for (const [index, { inputs, targets }] of rows.entries()) {
        const real = targets.filter((target) => target !== IGNORED).length;
        assertEquals(inputs.slice(0, real), tokens.slice(index * 16, index * 16 + real));
        assertEquals(targets.slice(real), Array(16 - real).fill(IGNORED));
      }
      assertEquals(rows.length % 3, 0); // the last batch was padded
    });
  });
}

Deno.test("packed: a long text read in pieces is one document", async () => {
  const text = await Deno.readTextFile(SHAKESPEARE);
  const batches = await batchesOf({ ...PLAIN, data: [SHAKESPEARE], batchSize: 64, seqLen: 512 });
  const predicted = batches.flatMap(({ targets }) => Array.from(targets))
    .filter((target) => target !== IGNORED);
  assertEquals(predicted.join() === packedTokens([text], tokenizer).slice(1).join(), true);
});

Deno.test("padded: a document is a row, cut or ignored to its end", async () => {
  const texts = ["abc", "", "0123456789abcdefXYZ", "d"];
  await withFiles({ "a.jsonl": jsonl(texts) }, async (folder) => {
    const options = { ...PLAIN, data: [folder], packing: "padded", seqLen: 8 } as const;
    const rows = rowsOf(await batchesOf(options), 8);
    const ids = (text: string) => tokenizer.encode(text);
    assertEquals(rows, [
      { inputs: [...ids("abc"), ...Array(5).fill(256)], targets: [98, 99, 256, ...ignored(5)] },
      { inputs: ids("01234567"), targets: ids("12345678") },
      { inputs: [100, ...Array(7).fill(256)], targets: [256, ...ignored(7)] },
    ]);
    const begun = await batchesOf({ ...options, tokenizer: llama });
    assertEquals(begun.map(({ inputs }) => inputs[0]), [1, 1, 1]); // LLaMA's texts begin with <s>
  });
});

const ignored = (count: number) => Array(count).fill(IGNORED);

Deno.test("shuffled: every pass has the rows of the text, in an order of its own", async () => {
  // 200 texts of 16 tokens plus end-of-text: each exactly fills a padded row of 16 + 1.
  const texts = Array.from({ length: 200 }, (_, i) => `${i}`.padStart(16, "."));
  await withFiles({ "a.jsonl": jsonl(texts) }, async (folder) => {
    const options = { ...PLAIN, data: [folder], packing: "padded", repeat: true } as const;
    const stream = await BatchStream.open({ ...options, shuffleBuffer: 64, seed: 3 });
    const passes: string[][] = [];
    for (let pass = 0; pass < 3; pass++) {
      const seen: string[] = [];
      for (let i = 0; i < 200; i++) {
        seen.push(tokenizer.decode((await stream.next())!.inputs));
        assertEquals(stream.epoch, pass);
      }
      assertEquals([...seen].sort(), texts);
      passes.push(seen);
    }
    await stream.close();
    const moved = passes[0].filter((text, index) => text !== texts[index]).length;
    assertEquals(moved > 150, true);
    assertEquals(passes[0].join() === passes[1].join(), false);
    assertEquals(passes[1].join() === passes[2].join(), false);
    const other = await batchesOf({ ...options, shuffleBuffer: 64, seed: 4 }, 200);
    const text = other.map(({ inputs }) => tokenizer.decode(inputs)).join();
    assertEquals(text === passes[0].join(), false);
  });
});

/** Killed after any batch, a run resumes with the same batches as an uninterrupted one. */
const RESUMED: [string, Omit<DataOptions, "data">, (folder: string) => string[]][] = [
  ["a book", { ...PLAIN, seqLen: 4096, repeat: true, shuffleBuffer: 100 }, () => [SHAKESPEARE]],
  ["in order", { ...PLAIN, seqLen: 700, repeat: true }, (folder) => [folder]],
  ["shuffled", { ...PLAIN, seqLen: 700, repeat: true, shuffleBuffer: 7 }, (folder) => [folder]],
  ["one block", { ...PLAIN, seqLen: 900, repeat: true, shuffleBuffer: 999 }, (folder) => [folder]],
  ["padded", {
    ...PLAIN,
    packing: "padded",
    repeat: true,
    shuffleBuffer: 5,
    seqLen: 64,
    tokenizer: llama,
  }, (folder) => [folder]],
  ["held out", { ...PLAIN, split: "eval", heldOutShare: 0.4, seqLen: 300 }, (folder) => [folder]],
];

for (const [name, common, data] of RESUMED) {
  Deno.test(`resume, ${name}: the batches of the uninterrupted run`, async () => {
    const gz = await Deno.readFile(DATA + "c4.jsonl.gz");
    const files = {
      "a.jsonl.gz": gz,
      "b.jsonl": jsonl(["short", "x".repeat(5000), "é漢🙂".repeat(300)]),
      "c.txt": "a text\n".repeat(300),
    };
    await withFiles(files, async (folder) => {
      const options: DataOptions = { ...common, data: data(folder), batchSize: 2, seed: 5 };
      const stream = await BatchStream.open(options);
      const batches: Batch[] = [], positions: string[] = [JSON.stringify(stream.position())];
      // At least three passes, unless the stream ends.
      while (batches.length < 500 && stream.epoch < 3) {
        const batch = await stream.next();
        if (!batch) break;
        batches.push(batch);
        positions.push(JSON.stringify(stream.position()));
      }
      await stream.close();
      if (options.repeat) assertEquals(stream.epoch, 3);
      const stride = Math.ceil(batches.length / 40); // forty positions are enough
      for (let killed = 0; killed < batches.length; killed += stride) {
        const position: DataPosition = JSON.parse(positions[killed]);
        assertEquals(positions[killed].length < 40_000, true);
        const left = Math.min(3, batches.length - killed);
        const resumed = await batchesOf({ ...options, position }, left);
        const same =
          JSON.stringify(resumed) === JSON.stringify(batches.slice(killed, killed + left));
        assertEquals(same, true, `killed after ${killed} batches`);
      }
    });
  });
}

Deno.test("resume: the batch size may change, the stream may not", async () => {
  await withFiles({ "a.txt": "some text, ".repeat(100) }, async (folder) => {
    const options: DataOptions = { ...PLAIN, data: [folder], batchSize: 4, repeat: true };
    const stream = await BatchStream.open(options);
    await stream.next();
    const position = stream.position(), expected = rowsOf([(await stream.next())!], 16);
    await stream.close();
    const narrow = await batchesOf({ ...options, batchSize: 1, position }, 4);
    assertEquals(rowsOf(narrow, 16), expected);
    const changed = { ...options, position, seqLen: 8, seed: 1, textField: "body" };
    await assertRefusesAsync(
      () => BatchStream.open(changed),
      UserError,
      "cannot resume the data stream: textField was text, is now body\n" +
        "  seqLen was 16, is now 8\n  seed was 0, is now 1",
    );
    await Deno.writeTextFile(join(folder, "a.txt"), "more", { append: true });
    // The only file has other content: the next pass reads it; see resumed_corpus_test.ts.
    const anew = await BatchStream.open({ ...options, position });
    assertEquals(anew.epoch, position.place.start.pass + 1);
  });
});

Deno.test("evaluation: the held-out share in order, or data of its own, the same each time", async () => {
  const options = { ...PLAIN, split: "eval", heldOutShare: 0.05, seqLen: 128 } as const;
  const held = await batchesOf({ ...options, data: [SHAKESPEARE], batchSize: 7 });
  assertEquals(held, await batchesOf({ ...options, data: [SHAKESPEARE], batchSize: 7 }));
  const text = (await Deno.readTextFile(SHAKESPEARE)).trimEnd();
  const ids = rowsOf(held, 128).flatMap(({ targets }) => targets).filter((id) => id >= 0);
  assertEquals(tokenizer.decode(ids.slice(0, -1)).trimEnd(), text.slice(-ids.length + 2));
  await withFiles({ "eval.txt": "apart" }, async (folder) => {
    const evalData = [join(folder, "eval.txt")];
    const apart = await batchesOf({ ...options, data: [SHAKESPEARE], evalData });
    assertEquals(apart.length, 1);
    assertEquals(apart[0].tokens, 5); // "part" and the end of the text
    // Then training uses all of its data.
    const train = await BatchStream.open({ ...options, split: "train", data: evalData, evalData });
    assertEquals((await train.next())!.tokens, 5);
    await train.close();
  });
});

Deno.test("data that cannot be trained on is refused at once", async () => {
  const texts = Array.from({ length: 5 }, () => "0123456789");
  const files = { "a.jsonl": jsonl(texts), "empty.txt": "", "blank.jsonl": "\n\n", "é.txt": "aé" };
  await withFiles(files, async (folder) => {
    const refused = (file: string, options: Partial<DataOptions>, message: string) => {
      const data = [join(folder, file)];
      return assertRefusesAsync(
        () => BatchStream.open({ ...PLAIN, repeat: true, data, ...options }),
        UserError,
        message,
      );
    };
    await refused("a.jsonl", { seqLen: 64 }, "has 55 tokens, a row of 64 needs 65");
    await refused("a.jsonl", { seqLen: 64 }, 'hint: seqLen: 54 or less, or packing: "padded"');
    await refused("empty.txt", {}, "empty.txt…) has no text to predict");
    await refused("blank.jsonl", { repeat: false }, "has no text to predict");
    await refused("empty.txt", { packing: "padded" }, "has no text to predict");
    const held = { split: "eval", heldOutShare: 0.001, repeat: false } as const;
    await refused("a.jsonl", held, "the held-out data");
    await refused("a.jsonl", held, "0.001 of the data is held out; hold out more");
    await refused("é.txt", { vocabSize: 256 }, "ends texts with token 256, outside the model's");
    await refused(
      "é.txt",
      { vocabSize: 300, tokenizer: llama, seqLen: 2 },
      "is outside the model's vocabulary of 300\n  hint: the tokenizer has 500 tokens",
    );
    await refused("é.txt", { batchSize: 0, seqLen: 1.5 }, "batchSize must be an integer of at");
    await refused("é.txt", { batchSize: 0, seqLen: 1.5 }, "seqLen must be an integer of at least");
  });
});

Deno.test("a fault far behind, or in the evaluation data, is found before the first step", async () => {
  const lines = jsonl(Array.from({ length: 20_000 }, (_, index) => `document ${index}`));
  const latin1 = new Uint8Array(lines.length + 1);
  new TextEncoder().encodeInto(lines, latin1);
  latin1[lines.length] = 0xe9;
  const files = {
    "good.jsonl": lines,
    "broken.jsonl": lines + '{"text": 5}\n',
    "other.jsonl": jsonl(["x"], "body"),
    "latin1.txt": latin1,
  };
  await withFiles(files, async (folder) => {
    const refused = (options: Partial<DataOptions>, message: string) =>
      assertRefusesAsync(
        () =>
          BatchStream.open({
            ...PLAIN,
            repeat: true,
            data: [join(folder, "good.jsonl")],
            ...options,
          }),
        UserError,
        message,
      );
    await refused({ data: [join(folder, "broken.jsonl")] }, "broken.jsonl:20001: field");
    await refused({ data: [join(folder, "latin1.txt")] }, "latin1.txt:20001: is not UTF-8 text");
    await refused(
      { evalData: [join(folder, "other.jsonl")] },
      'other.jsonl:1: has no field "text"',
    );
    await refused({ evalData: [join(folder, "none.jsonl")] }, "none.jsonl: no such file or folder");
  });
});

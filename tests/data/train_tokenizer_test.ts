/** Tokenizers trained on texts, held against those that Python's library trains. */
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { trainTokenizer } from "../../src/data/train_tokenizer.ts";
import type { TokenizerOptions } from "../../src/data/tokenizer_options.ts";
import { OptionsError } from "../../src/options/faults.ts";
import { spell } from "../../src/options/phrase.ts";
import { PROPERTIES } from "../../src/options/spelling.ts";
import { UserError } from "../../src/options/user_error.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { slicesOf } from "../../src/tokenizers/text_slices.ts";
import type { TokenizerProgress } from "../../src/tokenizers/train_bpe.ts";
import { assertRefusesAsync } from "../support_errors.ts";

interface Trained {
  readonly data?: string;
  readonly options: Partial<Omit<TokenizerOptions, "data">>;
  readonly vocabulary: number;
  /** Of the tokenizer.json. */
  readonly sha256: string;
}

const root = fromFileUrl(import.meta.resolve("../../"));
const { texts, ...cases }: { texts: string[] } & Record<string, Trained> = JSON.parse(
  await Deno.readTextFile(join(root, "tests/fixtures/tokenizers/trained.json")),
);
const C4 = join(root, "tests/fixtures/data/c4.jsonl");

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  await work(folder).finally(() => Deno.remove(folder, { recursive: true }));
}

async function records(folder: string, texts: readonly string[]): Promise<string> {
  const path = join(folder, "texts.jsonl");
  await Deno.writeTextFile(path, texts.map((text) => JSON.stringify({ text }) + "\n").join(""));
  return path;
}

async function sha256(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return new Uint8Array(digest).toHex();
}

for (const [name, { data, options, vocabulary, sha256: expected }] of Object.entries(cases)) {
  Deno.test(`${name}: the file is the one that Python's library writes`, () =>
    inFolder(async (folder) => {
      const path = data === undefined ? await records(folder, texts) : join(root, data);
      const { tokenizer, notes } = await trainTokenizer({ data: [path], ...options });
      assertEquals(tokenizer.vocabSize, vocabulary);
      assertEquals(notes.length, vocabulary < options.vocabSize! ? 1 : 0);
      await tokenizer.save(join(folder, "trained"));
      assertEquals(await sha256(join(folder, "trained/tokenizer.json")), expected);
    }));
}

Deno.test("a saved tokenizer has its special tokens when it is loaded, and returns every text", () =>
  inFolder(async (folder) => {
    const { options } = cases["many scripts, BOS and chat tokens"];
    const trained = await trainTokenizer({ data: [await records(folder, texts)], ...options });
    await trained.tokenizer.save(folder);
    const loaded = await loadTokenizer(folder);
    assertEquals([loaded.bosTokenId, loaded.eosTokenId], [0, 1]);
    assertEquals(loaded.specialTokens, {
      bosToken: "<s>",
      eosToken: "</s>",
      unkToken: null,
      padToken: "</s>",
    });
    assertEquals(loaded.encode("<|im_start|><|im_end|>"), [0, 2, 3]);
    for (const text of [...texts, "never seen: ¿ĳ ऄ 🜁"]) {
      assertEquals(loaded.decode(loaded.encode(text)), `<s>${text}`);
    }
  }));

Deno.test("the same texts give the same tokenizer from other files, in another order", () =>
  inFolder(async (folder) => {
    const halves = (await Deno.readTextFile(C4)).trim().split("\n").reverse();
    await Deno.writeTextFile(join(folder, "a.jsonl"), halves.slice(0, 7).join("\n"));
    await Deno.writeTextFile(join(folder, "b.jsonl"), halves.slice(7).join("\n"));
    const { options, sha256: expected } = cases["JSON Lines"];
    const { tokenizer } = await trainTokenizer({ data: [join(folder, "*.jsonl")], ...options });
    await tokenizer.save(folder);
    assertEquals(await sha256(join(folder, "tokenizer.json")), expected);
  }));

Deno.test("texts of a program give the tokenizer that a file of them gives", () =>
  inFolder(async (folder) => {
    const { options, sha256: expected } = cases["many scripts, BOS and chat tokens"];
    const once = function* () {
      for (const text of texts) yield { text };
    };
    for (const data of [[texts], once(), once]) {
      const { tokenizer } = await trainTokenizer({ ...options, data });
      await tokenizer.save(folder);
      assertEquals(await sha256(join(folder, "tokenizer.json")), expected);
    }
  }));

Deno.test("a corpus beyond the limit is a sample, of which the user is told", async () => {
  const options = { data: [C4], vocabSize: 300, maxBytes: 20_000 };
  const { bytes, notes } = await trainTokenizer(options);
  assert(bytes <= 20_000);
  assertLess(10_000, bytes);
  assertEquals(
    notes.map((note) => spell(note, PROPERTIES)).join(),
    `the corpus is larger than maxBytes: 20000: learned from ${
      (bytes / 1024).toPrecision(3)
    } KiB of it, in random order`,
  );
});

Deno.test("a smaller vocabulary than asked for is said", () =>
  inFolder(async (folder) => {
    const { notes } = await trainTokenizer({ data: [await records(folder, ["ab ab"])] });
    assertEquals(
      notes.map((note) => spell(note, PROPERTIES)),
      [
        "258 of 8000 tokens: in the whole data no other pair of tokens occurs minFrequency: 2 " +
        "times; more text gives more of them",
      ],
    );
  }));

Deno.test("refuses what gives no tokenizer, with what would be right", () =>
  inFolder(async (folder) => {
    await assertRefusesAsync(
      () => trainTokenizer({ data: [C4], vocabSize: 257, bosToken: "<s>" }),
      OptionsError,
      "vocabSize: must be at least 258, got 257: 256 bytes and 2 special (<s> <|endoftext|>)",
    );
    await assertRefusesAsync(
      () => trainTokenizer({ data: [C4], specialTokens: ["a"], maxBytes: 2 ** 31 }),
      OptionsError,
      "maxBytes: must be at most 2147483647, got 2147483648\n" +
        "specialTokens: must have two characters or more",
    );
    await assertRefusesAsync(
      async () => await trainTokenizer({ data: [await records(folder, ["", ""])] }),
      UserError,
      "data: has no text to learn from",
    );
    const latin1 = join(folder, "latin1.txt");
    await Deno.writeFile(latin1, new Uint8Array([0x63, 0x61, 0x66, 0xe9, 0x0a]));
    await assertRefusesAsync(() => trainTokenizer({ data: [latin1] }), UserError, "UTF-8");
  }));

Deno.test("reports its phases, and stops at an abort within each", () =>
  inFolder(async (folder) => {
    const words = Array.from({ length: 400 }, (_, i) => (i * 2654435761 % 2 ** 32).toString(36));
    const data = [await records(folder, [words.join(" ")])];
    const phases = new Set<TokenizerProgress["phase"]>(), { now } = performance;
    let time = 0;
    // At every look at the clock a report is due.
    performance.now = () => time += 1000;
    try {
      await trainTokenizer({ data, vocabSize: 300 }, {
        onProgress({ phase, done, total }) {
          phases.add(phase);
          assert(0 <= done && done <= total, `${phase}: ${done} of ${total}`);
        },
      });
      assert(phases.has("merging pairs"), [...phases].join());
      for (const phase of phases) {
        const controller = new AbortController();
        const error = await assertRejects(() =>
          trainTokenizer({ data, vocabSize: 300 }, {
            signal: controller.signal,
            onProgress: (now) => now.phase === phase && controller.abort(new Error("enough")),
          })
        );
        assertEquals((error as Error).message, "enough");
      }
    } finally {
      performance.now = now;
    }
  }));

for (
  const [name, text, expected] of [
    ["behind lines", "one two\nthree four\nfive", ["one two\n", "three four\n", "five"]],
    ["before words without lines", "one two three", ["one two", " three"]],
    ["but not within white space", "one two\n\n    3", ["one", " two\n\n    3"]],
    ["between characters without words", "aaaaaaaaaaa🙂🙂", ["aaaaaaaaaaa", "🙂🙂"]],
  ] as const
) {
  Deno.test(`long texts are cut ${name}`, () => {
    assertEquals([...slicesOf(text, 12)], [...expected]);
  });
}

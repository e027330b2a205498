import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { BatchStream, type DataPosition } from "../../src/data/batches.ts";
import { MixedOrder, type MixedPlace } from "../../src/data/mixed_order.ts";
import type { PlacedPiece } from "../../src/data/piece_order.ts";
import { Corpus } from "../../src/data/sources.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { DATA, jsonl, SHAKESPEARE, withFiles } from "./support.ts";

const ALL = { textField: "text", share: "all", heldOutShare: 0.05 } as const;
const OPTIONS = { seed: 1, seqLen: 16 };

const textOf = (number: number) => `#${number}# ` + "é漢 words ".repeat(number % 40);
const NUMBERS = Array.from({ length: 3000 }, (_, index) => index);

/** The same 3,000 documents in a file that is cut into parts, in one that is not, and in both. */
const FILES: Record<string, () => Promise<Record<string, string | Uint8Array>>> = {
  "lines": () => Promise.resolve({ "a.jsonl": "\r\n" + jsonl(NUMBERS.map(textOf)).trimEnd() }),
  "an array": () => {
    const array = NUMBERS.map((each) => ({ text: textOf(each) }));
    return Promise.resolve({ "a.json": JSON.stringify(array) });
  },
  "several files": async () => {
    const half = jsonl(NUMBERS.slice(2000).map(textOf));
    const gzip = new Blob([half]).stream().pipeThrough(new CompressionStream("gzip"));
    return {
      "a.jsonl": jsonl(NUMBERS.slice(0, 1000).map(textOf)),
      "b.csv": "id,text\n" +
        NUMBERS.slice(1000, 2000).map((each) => `1,${textOf(each)}\n`).join(""),
      "c.jsonl.gz": await new Response(gzip).bytes(),
    };
  },
};

async function allOf(order: MixedOrder, pass: number, from?: unknown): Promise<PlacedPiece[]> {
  return await Array.fromAsync(order.pieces(pass, from));
}

/** Smaller and larger than the corpus, which has 500 KB. */
for (const characters of [20_000, 100_000, 1e9]) {
  for (const [layout, files] of Object.entries(FILES)) {
    Deno.test(`mixed order of ${layout}, pools of ${characters}: all documents, resumable`, async () => {
      await withFiles(await files(), async (folder) => {
        const corpus = await Corpus.open([folder], ALL);
        const order = await MixedOrder.open(corpus, OPTIONS, characters);
        const pieces = await allOf(order, 0);
        const noted = characters < 1e9 && layout !== "lines" ? 1 : 0;
        assertEquals(order.notes.length, noted);
        const texts = pieces.map(({ text }) => text);
        assertEquals(texts.toSorted(), NUMBERS.map(textOf).toSorted());
        const next = await allOf(order, 1);
        assertEquals(next.map(({ text }) => text).toSorted(), texts.toSorted());
        assertEquals(next.some(({ text }, at) => text !== texts[at]), true);
        for (const at of [0, 1, 777, 1500, 2999]) {
          const place = JSON.parse(JSON.stringify(pieces[at].place));
          const reopened = await MixedOrder.open(corpus, OPTIONS, characters);
          assertEquals(await allOf(reopened, 0, place), pieces.slice(at));
          assertEquals(JSON.stringify(place).length < 500, true);
        }
      });
    });
  }
}

Deno.test("mixed order: a run of a twentieth of an epoch samples the whole file evenly", async () => {
  const files = { "a.jsonl": jsonl(NUMBERS.map(textOf)) };
  await withFiles(files, async (folder) => {
    const corpus = await Corpus.open([folder], ALL);
    const firstOf = async (characters: number, count: number) => {
      const pieces = await allOf(await MixedOrder.open(corpus, OPTIONS, characters), 0);
      const tenths = Array(10).fill(0);
      for (const { text } of pieces.slice(0, count)) {
        tenths[Math.floor(Number(/#(\d+)#/.exec(text)![1]) / 300)]++;
      }
      return tenths;
    };
    // 150 of 3,000: 15 expected in each tenth, 3.7 the standard deviation.
    for (const tenth of await firstOf(1e9, 150)) assertEquals(tenth >= 3 && tenth <= 30, true);
    // Cut into nine parts, of which four are read at a time.
    const cut = await firstOf(20_000, 150);
    assertEquals(cut.filter((tenth) => tenth > 0).length >= 4, true, `${cut}`);
  });
});

Deno.test("mixed order: a text is cut at its lines into pieces that join to it", async () => {
  const text = await Deno.readTextFile(SHAKESPEARE);
  for (const share of ["all", "train"] as const) {
    for (const characters of [200_000, 1e9]) {
      const corpus = await Corpus.open([SHAKESPEARE], { ...ALL, share });
      const pieces = await allOf(await MixedOrder.open(corpus, OPTIONS, characters), 0);
      const sorted = pieces.toSorted((a, b) => byteOf(a) - byteOf(b));
      const joined = sorted.map(({ text }) => text).join("");
      assertEquals(joined === text.slice(0, joined.length), true);
      assertEquals(joined.length / text.length > 0.94, true);
      if (share === "all") assertEquals(joined.length, text.length);
      assertEquals(sorted.map(({ first }) => first), sorted.map((_, index) => index === 0));
      assertEquals(sorted.map(({ last }) => last), sorted.map((_, i) => i === sorted.length - 1));
      assertEquals(sorted.slice(0, -1).every((piece) => /\S\n$/.test(piece.text)), true);
      assertEquals(pieces.every((piece) => piece.text.length <= 4096), true); // 64 T, or more
    }
  }
});

function byteOf({ where }: PlacedPiece): number {
  return Number(/at byte (\d+)$/.exec(where)![1]);
}

Deno.test("mixed order: row groups of Parquet, and what is held out of them", async () => {
  const texts: string[] = [];
  for (const share of ["train", "eval"] as const) {
    const options = { ...ALL, textField: "content", share, heldOutShare: 0.3 };
    const corpus = await Corpus.open([DATA + "c4-snappy.parquet"], options);
    const pieces = await allOf(await MixedOrder.open(corpus, OPTIONS, 5_000), 0);
    const pools = new Set(pieces.map(({ place }) => (place as MixedPlace).pool));
    assertEquals(pools.size > 1 || share === "eval", true);
    texts.push(...pieces.map(({ text }) => text));
    const [later] = await allOf(await MixedOrder.open(corpus, OPTIONS, 5_000), 0, pieces[4].place);
    assertEquals(later, pieces[4]);
  }
  const whole = await Corpus.open([DATA + "c4-snappy.parquet"], { ...ALL, textField: "content" });
  const inOrder = await Array.fromAsync(whole.pieces([0]));
  assertEquals(texts.toSorted(), inOrder.map(({ text }) => text).toSorted());
});

Deno.test("positions of the first version, from checkpoints: the batches of that time", async () => {
  // Written by the release before the mixed order: the positions, and how later rows begin.
  const cases: { data: string[]; position: DataPosition; next: number[][] }[] = JSON.parse(
    await Deno.readTextFile(DATA + "positions-v1.json"),
  );
  for (const { data, position, next } of cases) {
    const stream = await BatchStream.open({
      data: data.map((name) => name === "tinyshakespeare.txt" ? SHAKESPEARE : join(DATA, name)),
      split: "train",
      tokenizer: await loadTokenizer("bytes"),
      batchSize: 2,
      seqLen: 256,
      shuffleBuffer: 20,
      seed: 5,
      heldOutShare: 0.1,
      position,
    });
    const rows: number[][] = [];
    while (rows.length < next.length) {
      const { inputs } = (await stream.next())!;
      rows.push(Array.from(inputs.subarray(0, 4)), Array.from(inputs.subarray(256, 260)));
    }
    assertEquals(stream.position().version, 1);
    await stream.close();
    assertEquals(rows, next);
  }
});

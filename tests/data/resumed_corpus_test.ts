/** A corpus that changes while a run is stopped: what is read, once each, and what is told. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { BatchStream, type DataOptions, type DataPosition } from "../../src/data/batches.ts";
import { spell } from "../../src/options/phrase.ts";
import { PROPERTIES } from "../../src/options/spelling.ts";
import { UserError } from "../../src/options/user_error.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { jsonl, withFiles } from "./support.ts";

/** One document a row, so that rows tell what is read. */
const OPTIONS = {
  split: "train",
  tokenizer: await loadTokenizer("bytes"),
  batchSize: 1,
  seqLen: 16,
  seed: 5,
  packing: "padded",
  heldOutShare: 0,
  shuffleBuffer: 16,
} as const;

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => from + index);
const documents = (from: number, to: number) => jsonl(numbers(from, to).map((each) => `#${each}#`));

/** The numbers of the next documents: so many, or to the end of the epoch. */
async function read(stream: BatchStream, count = Infinity): Promise<number[]> {
  const found: number[] = [], { epoch } = stream;
  const { tokenizer } = OPTIONS;
  while (found.length < count) {
    const before = stream.position(), batch = (await stream.next())!;
    if (count === Infinity && stream.epoch !== epoch) {
      assertEquals(before.place.start.pass, epoch);
      break;
    }
    found.push(Number(/#(\d+)#/.exec(tokenizer.decode(batch.inputs))![1]));
  }
  return found;
}

const open = (folder: string, change: Partial<DataOptions> = {}) =>
  BatchStream.open({ ...OPTIONS, data: [folder], ...change });
const saved = (stream: BatchStream): DataPosition => JSON.parse(JSON.stringify(stream.position()));
const told = ({ notes }: BatchStream) => notes.map((note) => spell(note, PROPERTIES));
const sorted = (list: readonly number[]) => list.toSorted((a, b) => a - b);

/** Of the first 100 documents, in two files. */
const OLD = { "a.jsonl": documents(0, 60), "b.jsonl": documents(60, 100) };

for (const shuffleBuffer of [0, 1, 16, 1000]) {
  Deno.test(`new files join the epoch, shuffled within ${shuffleBuffer}: each document once`, async () => {
    await withFiles(OLD, async (folder) => {
      const change = { shuffleBuffer };
      const first = await open(folder, change), before = await read(first, 37);
      const position = saved(first), rest = await read(first);
      assertEquals(sorted([...before, ...rest]), numbers(0, 100));

      await Deno.writeTextFile(join(folder, "0.jsonl"), documents(100, 130));
      await Deno.writeTextFile(join(folder, "c.txt"), "#130#");
      const grown = await open(folder, { ...change, position });
      const after = await read(grown);
      const [note, ...others] = told(grown);
      assertEquals(others, []);
      assert(note.startsWith("2 of 4 files are new: they "), note);
      // With a buffer of all, the new files join behind what is left of the epoch.
      const end = shuffleBuffer === 1000 ? 100 : 131;
      assertEquals(note.endsWith("are read from the next epoch on"), end === 100, note);
      assertEquals(sorted([...before, ...after]), numbers(0, end));
      if (shuffleBuffer === 16) {
        assert(/in which \d+ documents read so far are not read again$/.test(note), note);
        // Mixed, not one behind the other.
        const news = after.flatMap((each, at) => each >= 100 ? [at / after.length] : []);
        const mean = news.reduce((a, b) => a + b, 0) / news.length;
        assert(mean > 0.4 && mean < 0.8, `${mean}`);
      }
      if (shuffleBuffer <= 1) assertEquals(after, [...numbers(37, 100), ...numbers(100, 131)]);
      // The epoch after, of which one was read to see the end of this, has all of them.
      const next = await open(folder, { ...change, position: saved(grown) });
      assertEquals(told(next).length, 0);
      assertEquals(new Set(await read(next)).size, 130);
    });
  });
}

Deno.test("interrupted after files have joined, and again: the same rows as uninterrupted", async () => {
  await withFiles(OLD, async (folder) => {
    const first = await open(folder);
    await read(first, 21);
    const begun = saved(first);
    await Deno.writeTextFile(join(folder, "c.jsonl"), documents(100, 140));
    const whole = await open(folder, { position: begun });
    const positions: DataPosition[] = [], rows: number[] = [];
    for (let i = 0; i < 300; i++) {
      positions.push(saved(whole));
      rows.push(...await read(whole, 1));
    }
    for (const at of [0, 1, 5, 11, 12, 40, 70, 118, 119, 120, 130, 260]) {
      const resumed = await open(folder, { position: positions[at] });
      assertEquals(
        await read(resumed, 40),
        rows.slice(at, at + 40).concat(
          at + 40 > 300 ? await read(whole, at + 40 - 300) : [],
        ),
        `${at}`,
      );
      // Told once: from the end of the rows in progress on they are not new.
      assertEquals(told(resumed).length, at < 12 ? 1 : 0, `${at}`);
      assert(JSON.stringify(positions[at]).length < 2000);
    }
    // More of them, in the same epoch.
    await Deno.writeTextFile(join(folder, "d.jsonl"), documents(140, 150));
    const twice = await open(folder, { position: positions[40] });
    assertEquals(
      sorted([...await readUpTo(folder, begun, 40), ...await read(twice)]),
      await missing(folder),
    );
    const again = await open(folder, { position: positions[40] });
    await read(again, 30);
    const third = await open(folder, { position: saved(again) });
    assertEquals(await read(third, 50), await read(again, 50));
  });

  /** What is left of the epoch at its beginning, with all four files. */
  async function missing(folder: string): Promise<number[]> {
    const first = await BatchStream.open({
      ...OPTIONS,
      data: ["a.jsonl", "b.jsonl"].map((name) => join(folder, name)),
    });
    const given = await read(first, 21);
    return numbers(0, 150).filter((each) => !given.includes(each));
  }

  async function readUpTo(folder: string, position: DataPosition, count: number) {
    const stream = await BatchStream.open({
      ...OPTIONS,
      data: ["a.jsonl", "b.jsonl", "c.jsonl"].map((name) => join(folder, name)),
      position,
    });
    return await read(stream, count);
  }
});

Deno.test("a file that is changed, replaced or gone: the next epoch begins, which is told", async () => {
  await withFiles(OLD, async (folder) => {
    const first = await open(folder);
    await read(first, 30);
    const position = saved(first), a = join(folder, "a.jsonl");
    // The same size and name.
    await Deno.writeTextFile(a, documents(0, 60).replace("#17#", "#71#"));
    const changed = await open(folder, { position });
    assertEquals(told(changed), [
      `since the run was saved 1 of 2 files have other content (${a}): the epoch that was begun ` +
      "ends here, and the next one reads all 2 files as they are now",
    ]);
    assertEquals(
      sorted(await read(changed)),
      sorted([
        ...numbers(0, 100).filter((each) => each !== 17),
        71,
      ]),
    );
    assertEquals(changed.epoch >= 1, true);
    const resumed = await open(folder, { position: saved(changed) });
    assertEquals([told(resumed), await read(resumed, 50)], [[], await read(changed, 50)]);

    await Deno.remove(a);
    await Deno.writeTextFile(join(folder, "e.txt"), "#200#");
    const gone = await open(folder, { position });
    assertEquals(told(gone)[0].includes("1 are new, 1 are gone"), true, told(gone)[0]);
    assertEquals(sorted(await read(gone)), [...numbers(60, 100), 200]);
  });
});

Deno.test("the same files elsewhere, or in another order, are the same data", async () => {
  await withFiles(OLD, async (folder) => {
    const first = await open(folder);
    await read(first, 30);
    const position = saved(first), rest = await read(first);
    await withFiles(OLD, async (other) => {
      const moved = await open(other, { position });
      assertEquals([told(moved), await read(moved)], [[], rest]);
      const data = ["b.jsonl", "a.jsonl"].map((name) => join(other, name));
      const turned = await open(other, { data, position });
      assertEquals([told(turned), await read(turned)], [[], rest]);
    });
  });
});

Deno.test("data for evaluation, given later: what was held out stays out of the training", async () => {
  await withFiles({ ...OLD, "held/e.jsonl": documents(500, 520) }, async (folder) => {
    const data = ["a.jsonl", "b.jsonl"].map((name) => join(folder, name));
    const held = { data, heldOutShare: 0.2 };
    const first = await open(folder, held), before = await read(first, 30);
    const position = saved(first), rest = await read(first);
    const evalData = [join(folder, "held/e.jsonl")];
    const resumed = await open(folder, { ...held, evalData, position });
    assertEquals([await read(resumed), before.length], [rest, 30]);
    assertEquals(told(resumed), [
      "what was held out of data stays out of the training beside evalData",
    ]);
    await assertRejects(
      () => open(folder, { ...held, heldOutShare: 0.1, position }),
      UserError,
      "share was train 0.2, is now train 0.1",
    );
  });
});

Deno.test("whole texts stay held out by the rule that a run began with", async () => {
  const texts = Object.fromEntries(numbers(0, 99).map((each) => [`${each}.txt`, `#${each}#`]));
  await withFiles(texts, async (folder) => {
    const options = { heldOutShare: 0.3 };
    const first = await open(folder, options);
    assertEquals(first.holdsOutFiles, false);
    const position = saved(first);
    await Deno.writeTextFile(join(folder, "x.txt"), "#200#");
    await Deno.writeTextFile(join(folder, "y.txt"), "#201#");
    assertEquals((await open(folder, options)).holdsOutFiles, true);
    assertEquals((await open(folder, { ...options, position })).holdsOutFiles, false);
  });
});

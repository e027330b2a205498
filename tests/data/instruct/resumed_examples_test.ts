/** Examples that become more while a run is stopped. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { InstructStream } from "../../../src/data/instruct/stream.ts";
import { spell } from "../../../src/options/phrase.ts";
import { PROPERTIES } from "../../../src/options/spelling.ts";
import { loadTokenizer } from "../../../src/tokenizers/load_tokenizer.ts";
import { withFiles } from "../support.ts";

const tokenizer = await loadTokenizer("bytes");
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => from + index);
const examples = (from: number, to: number) =>
  numbers(from, to).map((each) =>
    JSON.stringify({ prompt: `?${"x".repeat(each % 9)}`, completion: `#${each}#` }) + "\n"
  ).join("");
const OLD = { "a.jsonl": examples(0, 60), "b.jsonl": examples(60, 100) };

const open = (folder: string, position?: unknown, change = {}) =>
  InstructStream.open(
    {
      ...{ data: [folder], split: "train", tokenizer, batchSize: 1, seqLen: 64, seed: 3 },
      ...{ heldOutShare: 0, position: position && JSON.parse(JSON.stringify(position)) },
      ...change,
    } as Parameters<typeof InstructStream.open>[0],
  );

/** The examples in the next rows: so many, or all that are left of the epoch. */
async function read(stream: InstructStream, rows = stream.rowsLeft): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < rows; i++) {
    const { inputs } = (await stream.next())!;
    found.push(
      ...[...tokenizer.decode(inputs).matchAll(/#(\d+)#/g)].map(([, each]) => Number(each)),
    );
  }
  return found;
}

const sorted = (list: readonly number[]) => list.toSorted((a, b) => a - b);
const told = ({ report }: InstructStream) => report.notes.map((note) => spell(note, PROPERTIES));

for (const packing of [true, false]) {
  Deno.test(`new examples join the epoch, ${packing ? "packed" : "one a row"}: each once`, async () => {
    await withFiles(OLD, async (folder) => {
      const change = { packing };
      const first = await open(folder, undefined, change), before = await read(first, 9);
      const position = first.position(), rest = await read(first);
      assertEquals(sorted([...before, ...rest]), numbers(0, 100));
      assertEquals(await read(await open(folder, position, change)), rest);

      await Deno.writeTextFile(join(folder, "0.jsonl"), examples(100, 130));
      const grown = await open(folder, position, change);
      const [note] = told(grown);
      assertEquals(
        note,
        "1 of 3 files are new, with 30 examples: they are mixed in among what is left of this " +
          `epoch, in which the ${before.length} examples read so far are not read again`,
      );
      const part = await read(grown, 5), middle = grown.position(), after = await read(grown);
      assertEquals(sorted([...before, ...part, ...after]), numbers(0, 130));
      const next = await read(grown, grown.rowsPerEpoch);
      assertEquals(sorted(next), numbers(0, 130));

      // Interrupted and resumed: the same rows, nothing told again.
      const resumed = await open(folder, middle, change);
      assertEquals([told(resumed).includes(note), await read(resumed)], [false, after]);
      assertEquals(await read(resumed, resumed.rowsPerEpoch), next);

      // Twice in an epoch, in whatever order the files are listed.
      await Deno.writeTextFile(join(folder, "aa.jsonl"), examples(130, 135));
      const twice = await open(folder, middle, change), last = await read(twice);
      assertEquals(sorted([...before, ...part, ...last]), numbers(0, 135));
      const again = await open(folder, middle, change), some = await read(again, 3);
      const third = await open(folder, again.position(), change);
      assertEquals([...some, ...await read(third)], last);
    });
  });
}

Deno.test("changed examples: the next epoch begins, which is told", async () => {
  await withFiles(OLD, async (folder) => {
    const first = await open(folder);
    await read(first, 5);
    const position = first.position(), a = join(folder, "a.jsonl");
    await Deno.writeTextFile(a, examples(0, 60).replace("#17#", "#71#"));
    const changed = await open(folder, position);
    assert(
      told(changed)[0].startsWith(
        `since the run was saved 1 of 2 files have other content (${a}): the epoch that was begun`,
      ),
      told(changed)[0],
    );
    assertEquals(
      sorted(await read(changed)),
      sorted([
        ...numbers(0, 100).filter((each) => each !== 17),
        71,
      ]),
    );
    const resumed = await open(folder, changed.position());
    assertEquals(await read(resumed, 9), await read(changed, 9));
  });
});

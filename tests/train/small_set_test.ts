import { assertEquals } from "@std/assert";
import { batchOfSmallSet, lengthNote, runLength } from "../../src/train/small_set.ts";
import { spell } from "../../src/options/phrase.ts";
import { FLAGS } from "../../src/options/spelling.ts";

const USUAL = { batchSize: 4, gradientAccumulation: 1 };

Deno.test("a small set gets smaller batches, and more passes where these are not enough", () => {
  const sizes = [2, 5, 40, 67, 100, 133, 134, 10_000].map((rows) => {
    const batchSize = batchOfSmallSet(rows, 4);
    const { epochs, steps } = runLength(rows, { ...USUAL, batchSize });
    return [rows, batchSize, epochs, steps];
  });
  assertEquals(sizes, [
    [2, 1, 25, 50],
    [5, 1, 20, 100],
    [40, 1, 3, 120],
    [67, 2, 3, 101],
    [100, 3, 3, 100],
    [133, 3, 3, 133],
    [134, 4, 3, 101],
    [10_000, 4, 3, 7500],
  ]);
});

Deno.test("batches of several ranks leave as many steps together", () => {
  const found = [40, 134, 800, 10_000].map((rows) => {
    const batchSize = batchOfSmallSet(rows, 4, 4);
    return [rows, batchSize, runLength(rows, { batchSize, gradientAccumulation: 4 }).steps];
  });
  // By hand: 3 passes over 800 rows in steps of 4 · 4 are 150.
  assertEquals(found, [[40, 1, 100], [134, 1, 101], [800, 4, 150], [10_000, 4, 1875]]);
});

Deno.test("what is asked for is done, however few the steps", () => {
  assertEquals(runLength(5, { ...USUAL, epochs: 3 }), { steps: 4, epochs: 3, small: false });
  assertEquals(runLength(5, { ...USUAL, steps: 2 }), { steps: 2, epochs: 1.6, small: false });
  // A batch that is asked for stays, and no set is read without end.
  const large = runLength(5, { batchSize: 16, gradientAccumulation: 2 });
  assertEquals(large, { steps: 4, epochs: 25, small: true });
});

Deno.test("a run tells what was chosen for a small set, or that it is short", () => {
  const note = (asked: Parameters<typeof runLength>[1], rows = 5) => {
    const found = lengthNote(runLength(rows, asked), asked, { examples: 39, rows });
    return found && spell(found, FLAGS);
  };
  assertEquals(
    note({ ...USUAL, batchSize: 1 }),
    "39 examples in 5 sequences: 20 epochs in batches of 1 make 100 steps, chosen for a small set " +
      "(--epochs and --batch-size set them)",
  );
  assertEquals(
    note({ ...USUAL, epochs: 3 }),
    "a run of 4 steps teaches little: 39 examples in 5 sequences (more --epochs or a smaller " +
      "--batch-size make more)",
  );
  assertEquals(
    note({ ...USUAL, steps: 29 }),
    "a run of 29 steps teaches little: 39 examples in 5 sequences (set more --steps, or none)",
  );
  assertEquals(note({ ...USUAL, steps: 30 }), undefined);
  assertEquals(note(USUAL, 1000), undefined);
});

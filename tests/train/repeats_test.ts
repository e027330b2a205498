import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { BatchStream } from "../../src/data/batches.ts";
import { spell } from "../../src/options/phrase.ts";
import { FLAGS } from "../../src/options/spelling.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { notingRepeats } from "../../src/train/repeats.ts";

Deno.test("a run says once how often it reads a text that is small for it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "text.txt");
    await Deno.writeTextFile(path, "x".repeat(640));
    const notes = async (steps: number, batches: number, shuffleBuffer?: number) => {
      const sizes = { batchSize: 2, gradientAccumulation: 2 };
      // 641 tokens with the end of the text: 40 rows of 16.
      const stream = await BatchStream.open({
        ...{ data: [path], split: "train", heldOutShare: 0, seqLen: 16, shuffleBuffer },
        ...{ tokenizer: await loadTokenizer("bytes"), batchSize: 2 },
      });
      const source = notingRepeats(stream, { ...sizes, steps });
      const told = [...source.takeNotes!()];
      for (let i = 0; i < batches; i++) await source.next();
      told.push(...source.takeNotes!());
      await source.close();
      return told.map((note) => spell(note, FLAGS));
    };
    const message = (steps: number, times: number) =>
      `the data has 40 sequences, and a run of ${steps} steps reads each ${times} times: beyond 4, ` +
      "more text or fewer --steps do better";
    assertEquals(await notes(40, 1), []);
    assertEquals(await notes(50, 60), [message(50, 5)]);
    // Known only at the end of the first pass.
    assertEquals(await notes(100, 10, 4), []);
    assertEquals(await notes(100, 60, 4), [message(100, 10)]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** A number of held-out examples, and a system prompt for those without one. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { shareOf } from "../../../src/data/instruct/held_out_count.ts";
import { InstructStream } from "../../../src/data/instruct/stream.ts";
import { UserError } from "../../../src/options/user_error.ts";
import { loadTokenizer } from "../../../src/tokenizers/load_tokenizer.ts";

async function withExamples(count: number, use: (path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "examples.jsonl");
    const line = (i: number) => {
      const messages = [
        ...(i === 0 ? [{ role: "system", content: "Of its own" }] : []),
        { role: "user", content: `Question ${i}` },
        { role: "assistant", content: `Answer ${i}` },
      ];
      return JSON.stringify({ messages });
    };
    await Deno.writeTextFile(path, Array.from({ length: count }, (_, i) => line(i)).join("\n"));
    await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("exactly as many examples are held out as asked for, of all or of the first", async () => {
  const shared = {
    tokenizer: await loadTokenizer("bytes"),
    template: "chatml",
    batchSize: 1,
    seqLen: 512,
  };
  await withExamples(60, async (path) => {
    for (
      const [count, maxSamples, total] of [[1, undefined, 60], [13, undefined, 60], [5, 20, 20]]
    ) {
      const heldOutShare = await shareOf(count!, [path], { maxSamples });
      const open = async (split: "train" | "eval") =>
        (await InstructStream.open({ ...shared, data: [path], split, heldOutShare, maxSamples }))
          .report.examples;
      assertEquals([await open("train"), await open("eval")], [total! - count!, count!]);
    }
    await assertRejects(
      () => shareOf(31, [path], {}),
      UserError,
      "evalShare: 31 holds out more than half of the 60 examples",
    );
  });
});

Deno.test("a default system prompt stands before conversations that have none", async () => {
  const tokenizer = await loadTokenizer("bytes");
  await withExamples(2, async (path) => {
    const { examples } = await InstructStream.open({
      tokenizer,
      template: "chatml",
      batchSize: 1,
      seqLen: 512,
      data: [path],
      split: "train",
      heldOutShare: 0,
      defaultSystem: "You are a pirate.",
    });
    const [own, given] = [0, 1].map((index) => tokenizer.decode([...examples.at(index).ids]));
    assert(own.startsWith("<|im_start|>system\nOf its own<|im_end|>"), own);
    assert(given.startsWith("<|im_start|>system\nYou are a pirate.<|im_end|>"), given);
  });
});

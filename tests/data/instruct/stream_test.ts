import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { BatchSource } from "../../../src/data/batches.ts";
import { type Batch, IGNORED } from "../../../src/model/batch.ts";
import { preview } from "../../../src/data/instruct/preview.ts";
import { findingLines } from "../../../src/data/instruct/report.ts";
import { RowPlan } from "../../../src/data/instruct/row_plan.ts";
import { ExampleStore } from "../../../src/data/instruct/store.ts";
import {
  type InstructOptions,
  type InstructPosition,
  InstructStream,
} from "../../../src/data/instruct/stream.ts";
import { loadTokenizer } from "../../../src/tokenizers/load_tokenizer.ts";
import { spell } from "../../../src/options/phrase.ts";
import { FLAGS } from "../../../src/options/spelling.ts";
import { UserError } from "../../../src/options/user_error.ts";
import { jsonl, withFiles } from "../support.ts";
import { DAY, golden, INSTRUCT, tokenizers } from "./support.ts";
import { assertRefusesAsync } from "../../support_errors.ts";

const bytes = await loadTokenizer("bytes");

const ALPACA = {
  data: [INSTRUCT + "alpaca.json"],
  split: "train",
  tokenizer: tokenizers.chat,
  template: "chatml",
  batchSize: 2,
  seqLen: 1500,
  heldOutShare: 0,
} as const;

/** Texts of "a", "bb", …: with EOS, 2, 3, … tokens. */
const LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const TEXTS = LENGTHS.map((length) => String.fromCharCode(96 + length).repeat(length));

const PLAIN = {
  split: "train",
  tokenizer: bytes,
  batchSize: 1,
  seqLen: 12,
  heldOutShare: 0,
} as const;

async function batchesOf(source: BatchSource, limit = Infinity): Promise<Batch[]> {
  const batches: Batch[] = [];
  while (batches.length < limit) {
    const batch = await source.next();
    if (!batch) break;
    batches.push(batch);
  }
  return batches;
}

async function open(options: InstructOptions): Promise<InstructStream> {
  return await InstructStream.open(options);
}

interface Row {
  /** The texts of the row's examples. */
  texts: string[];
  padding: number;
}

/** Splits rows by their first keys, checking every position. */
function rowsOf(batches: Batch[], seqLen: number): Row[] {
  return batches.flatMap(({ inputs, targets, firstKeys }) =>
    Array.from({ length: inputs.length / seqLen }, (_, row) => {
      const of = <T extends Uint32Array | Int32Array>(all: T) =>
        Array.from(all.subarray(row * seqLen, (row + 1) * seqLen));
      const [ids, wanted, keys] = [of(inputs), of(targets), of(firstKeys!)];
      const texts: string[] = [];
      let padding = 0;
      for (let start = 0; start < seqLen;) {
        let end = start;
        while (end < seqLen && keys[end] === start) end++;
        assertEquals(wanted[end - 1], IGNORED); // the last token of an example predicts nothing
        const learned = wanted.slice(start, end - 1);
        if (learned.every((target) => target === IGNORED)) {
          assertEquals(end, seqLen); // only padding is not trained on
          padding = end - start;
          assertEquals(ids.slice(start), Array(padding).fill(256));
        } else {
          assertEquals(learned, ids.slice(start + 1, end));
          texts.push(bytes.decode(ids.slice(start, end)));
        }
        start = end;
      }
      return { texts, padding };
    })
  );
}

Deno.test("packed: whole examples share rows, each epoch has all of them once", async () => {
  await withFiles({ "a.jsonl": jsonl(TEXTS) }, async (folder) => {
    const stream = await open({ ...PLAIN, data: [folder] });
    assertEquals(stream.rowsPerEpoch, 6); // 65 tokens in rows of 12 need 6
    assertEquals(stream.report.examples, 10);
    assertEquals([stream.report.tokens, stream.report.trainedTokens], [65, 55]);
    const epochs: string[] = [];
    for (let epoch = 0; epoch < 4; epoch++) {
      assertEquals(stream.epoch, epoch);
      const rows = rowsOf(await batchesOf(stream, 6), 12);
      const texts = rows.flatMap((row) => row.texts);
      assertEquals([...texts].sort(), TEXTS.map((text) => text + "<|endoftext|>"));
      epochs.push(texts.join());
    }
    assertEquals(new Set(epochs).size, 4);
    const again = await open({ ...PLAIN, data: [folder] });
    assertEquals(rowsOf(await batchesOf(again, 6), 12).flatMap((r) => r.texts).join(), epochs[0]);
    const other = await open({ ...PLAIN, data: [folder], seed: 1 });
    const shuffled = rowsOf(await batchesOf(other, 6), 12).flatMap((r) => r.texts).join();
    assertEquals(shuffled === epochs[0], false);
  });
});

Deno.test("a batch: tokens, targets and first keys of a packed row, one by one", async () => {
  await withFiles({ "a.jsonl": jsonl(["abc", "de"]) }, async (folder) => {
    const stream = await open({
      ...PLAIN,
      data: [folder],
      seqLen: 9,
      split: "eval",
      evalData: [folder],
    });
    const [batch, ...rest] = await batchesOf(stream);
    assertEquals(rest, []);
    const [a, b, c, d, e, end, _] = [97, 98, 99, 100, 101, 256, IGNORED];
    assertEquals(Array.from(batch.inputs), [a, b, c, end, d, e, end, end, end]);
    assertEquals(Array.from(batch.targets), [b, c, end, _, e, end, _, _, _]);
    assertEquals(Array.from(batch.firstKeys!), [0, 0, 0, 0, 4, 4, 4, 7, 7]);
    assertEquals(batch.tokens, 5);
  });
});

Deno.test("without packing: an example a row, and no first keys", async () => {
  await withFiles({ "a.jsonl": jsonl(["abc", "de"]) }, async (folder) => {
    const options = { ...PLAIN, data: [folder], seqLen: 5, packing: false, batchSize: 3 };
    const stream = await open({ ...options, split: "eval", evalData: [folder] });
    assertEquals(stream.rowsPerEpoch, 2);
    const [batch] = await batchesOf(stream);
    const [a, b, c, d, e, end, _] = [97, 98, 99, 100, 101, 256, IGNORED];
    // The third row is padding of the batch.
    const rest = [end, end, end, end, end];
    assertEquals(Array.from(batch.inputs), [a, b, c, end, end, d, e, end, end, end, ...rest]);
    assertEquals(Array.from(batch.targets), [b, c, end, _, _, e, end, _, _, _, _, _, _, _, _]);
    assertEquals([batch.tokens, batch.firstKeys], [5, undefined]);
    const train = await open(options);
    const seen = new Set((await batchesOf(train, 8)).map(({ inputs }) => inputs.join()));
    assertEquals(seen.size > 1, true);
  });
});

Deno.test("Alpaca's entries: what transformers' ids and masks say is learned", async () => {
  const stream = await open({ ...ALPACA, packing: false, split: "eval", evalData: ALPACA.data });
  const batches = await batchesOf(stream);
  const cases = golden.instructed.filter((each) => each.tokenizer === "chat");
  const expected = cases.map(({ ids, mask }) => ids.filter((_, i) => i > 0 && mask[i] === "1"));
  const learned = batches.flatMap(({ targets }) =>
    [0, 1].map((row) =>
      Array.from(targets.subarray(row * 1500, (row + 1) * 1500)).filter((id) => id !== IGNORED)
    )
  );
  const key = (rows: number[][]) => rows.map((row) => row.join()).sort();
  assertEquals(key(learned), key(expected));
  assertEquals(stream.report.trainedTokens, expected.flat().length);
  assertEquals(stream.report.notes, []);
  const all = await open({ ...ALPACA, trainOnPrompt: true });
  assertEquals(all.report.trainedTokens, all.report.tokens - 20);
});

for (const packing of [true, false]) {
  Deno.test(`resume, packing ${packing}: the batches of the uninterrupted run`, async () => {
    const options = { ...ALPACA, packing, seed: 3, batchSize: 3 };
    const stream = await open(options);
    const batches: Batch[] = [], positions = [JSON.stringify(stream.position())];
    while (stream.epoch < 3) {
      batches.push((await stream.next())!);
      positions.push(JSON.stringify(stream.position()));
    }
    for (let killed = 0; killed < batches.length; killed += 3) {
      const position: InstructPosition = JSON.parse(positions[killed]);
      const resumed = await open({ ...options, position });
      assertEquals(
        await batchesOf(resumed, 2),
        batches.slice(killed, killed + 2).concat(
          killed + 2 > batches.length ? await batchesOf(stream, 1) : [],
        ),
      );
      await resumed.close();
    }
  });
}

Deno.test("resume: with other data or options it is refused, the day is kept", async () => {
  const stream = await open({ ...ALPACA, now: DAY });
  await stream.next();
  const position = stream.position();
  await assertRefusesAsync(
    () => open({ ...ALPACA, position, seqLen: 900, trainOnPrompt: true }),
    UserError,
    "cannot resume the data stream: trainOnPrompt was false, is now true\n" +
      "  seqLen was 1500, is now 900",
  );
  await assertRefusesAsync(
    () => open({ ...ALPACA, position, template: "gemma" }),
    UserError,
    "template was chatml, is now gemma",
  );
  const narrow = await open({ ...ALPACA, position, batchSize: 1 });
  const [batch] = await batchesOf(narrow, 1);
  assertEquals(batch.inputs, (await stream.next())!.inputs.slice(0, 1500));
  assertEquals(narrow.position().now, DAY.toISOString());
});

const dialogue = (...turns: string[]) => ({
  messages: turns.map((content, index) => ({ role: index % 2 ? "assistant" : "user", content })),
});

Deno.test("examples that cannot be used are counted by reason", async () => {
  const lines = [
    dialogue("only a question"),
    { messages: [] },
    dialogue("q", "a"),
    { messages: [{ role: "user", content: "q" }, { role: "assistant", content: "a", weight: 0 }] },
    dialogue("a question that is far too long for the row".repeat(3), "a"),
    dialogue("q", "an answer that is far too long for the row".repeat(3)),
  ].map((each) => JSON.stringify(each)).join("\n");
  await withFiles({ "a.jsonl": lines }, async (folder) => {
    const options = { ...ALPACA, data: [folder], seqLen: 40, tokenizer: bytes, template: "vicuna" };
    const stream = await open({ ...options, tokenizer: bytes, seqLen: 200 });
    const { skipped, ...report } = stream.report;
    assertEquals(skipped, { noAnswer: 2, rewritten: 0, nothingLearned: 1, cutAway: 1 });
    assertEquals([report.examples, report.truncated], [2, 1]);
    const at = (...lines: number[]) => lines.map((line) => `${folder}/a.jsonl:${line}`).join("; ");
    assertEquals(findingLines(stream.report), [
      `skipped: 2 examples without an assistant turn (${at(1, 2)})`,
      `skipped: 1 example with no tokens to train on (${at(4)})`,
      `skipped: 1 example whose answers start after the end of a row (${at(5)})`,
    ]);
    await assertRefusesAsync(
      () => open(options),
      UserError,
      `has no example to train on: 2 examples without an assistant turn (${at(1, 2)}); ` +
        `1 example with no tokens to train on (${at(4)}); 3 examples whose answers start after ` +
        `the end of a row (${at(3, 5, 6)})\n  hint: rows are of 40 tokens`,
    );
    const first = { ...options, maxSamples: 2 };
    await assertRefusesAsync(
      () => open(first),
      UserError,
      "to train on: 2 examples without an assistant turn",
    );
    await assertRefusesAsync(
      () => open({ ...options, data: [INSTRUCT + "alpaca.json"], seqLen: 1000, vocabSize: 100 }),
      UserError,
      "the tokenizer ends texts with token 256, outside the model's vocabulary of 100",
    );
  });
  await withFiles({ "empty.json": "[]" }, async (folder) => {
    await assertRefusesAsync(
      () => open({ ...ALPACA, data: [folder] }),
      UserError,
      "has no examples",
    );
  });
});

Deno.test("held out: training and evaluation share no example and miss none", async () => {
  const texts = Array.from({ length: 1000 }, (_, index) => `document ${index % 900}`);
  await withFiles({ "a.jsonl": jsonl(texts), "b.jsonl": jsonl(["apart"]) }, async (folder) => {
    const options = { ...PLAIN, data: [join(folder, "a.jsonl")], seqLen: 64, heldOutShare: 0.05 };
    const train = await open(options);
    const held = await open({ ...options, split: "eval" });
    const rows = rowsOf(await batchesOf(train, train.rowsPerEpoch), 64).flatMap((r) => r.texts);
    const heldRows = rowsOf(await batchesOf(held), 64).flatMap((r) => r.texts);
    assertEquals([...rows, ...heldRows].sort(), texts.map((t) => t + "<|endoftext|>").sort());
    assertEquals(heldRows.some((text) => rows.includes(text)), false);
    // 1000 draws of 5%: 50 expected, 6.9 the standard deviation.
    assertEquals(Math.abs(heldRows.length - 50) < 28, true, `${heldRows.length} held out`);
    const evalData = [join(folder, "b.jsonl")];
    assertEquals((await open({ ...options, evalData })).report.examples, 1000);
    assertEquals((await open({ ...options, evalData, split: "eval" })).report.examples, 1);
    const few = { ...options, data: evalData, split: "eval", heldOutShare: 0.001 } as const;
    await assertRefusesAsync(() => open(few), UserError, "0.001 of the data is held out; hold out");
  });
});

Deno.test("progress is reported, and all faults of the options at once", async () => {
  await withFiles({ "a.jsonl": jsonl(Array(1200).fill("ab")) }, async (folder) => {
    const told: number[] = [];
    const onProgress = ({ examples }: { examples: number }) => told.push(examples);
    await open({ ...PLAIN, data: [folder], onProgress });
    assertEquals(told, [500, 1000, 1200]);
  });
  const wrong = { ...ALPACA, batchSize: 0, seqLen: 1, heldOutShare: 1, maxSamples: 0.5 };
  const error = await assertRefusesAsync(
    () => open(wrong),
    UserError,
    "batchSize must be an integer",
  );
  for (const part of ["seqLen must be an integer of at least 2", "maxSamples", "heldOutShare"]) {
    assertEquals(error.message.includes(part), true);
  }
  const spelled = await open({ ...ALPACA, tokenizer: tokenizers.llama });
  assertEquals(spelled.report.notes.length, 1);
  assertEquals(
    spell(spelled.report.notes[0], FLAGS).startsWith("template chatml marks turns with <|im_sta"),
    true,
  );
});

Deno.test("row plan: best fit keeps to within a few per cent of what must be", () => {
  let state = 1;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const lengths = Array.from({ length: 3000 }, () => 1 + Math.floor(1024 * random() ** 3));
  const plan = RowPlan.packed(lengths, 1024);
  const least = Math.ceil(lengths.reduce((sum, each) => sum + each, 0) / 1024);
  assertEquals(plan.rowCount <= least * 1.02, true, `${plan.rowCount} rows, ${least} at least`);
  for (const rows of [plan.epoch(0), plan.epoch(0, 7), plan.epoch(1, 7)]) {
    assertEquals(rows.length, plan.rowCount);
    assertEquals(rows.flat().sort((a, b) => a - b), lengths.map((_, index) => index));
    const full = rows.map((row) => row.reduce((sum, index) => sum + lengths[index], 0));
    assertEquals(Math.max(...full) <= 1024, true);
  }
  assertEquals(RowPlan.packed([4, 4], 4).rowCount, 2);
  assertEquals(RowPlan.single([4, 2, 3]).epoch(0), [[0], [2], [1]]);
});

Deno.test("store: grows, and its hash tells what it holds", () => {
  const stored = (...examples: number[][]) => {
    const store = new ExampleStore();
    for (const ids of examples) store.add(ids, new Uint8Array(ids.length).fill(1));
    return store;
  };
  const long = Array.from({ length: 70_000 }, (_, index) => index);
  const store = stored([5, 6], long, [7]);
  assertEquals([store.count, store.tokens, store.length(1)], [3, 70_003, 70_000]);
  assertEquals(Array.from(store.at(0).ids), [5, 6]);
  assertEquals(Array.from(store.at(1).ids), long);
  assertEquals(store.at(2), { ids: Uint32Array.of(7), trained: Uint8Array.of(1) });
  const hashes = [stored([1, 2], [3]), stored([1], [2, 3]), stored([1, 2], [4]), stored()];
  assertEquals(new Set(hashes.map((each) => each.hash())).size, 4);
});

Deno.test("preview: the first examples as the model sees them, what it learns marked", async () => {
  const lines = [dialogue("q é", "a 🙂", "r", "b"), dialogue("s", "t")];
  const file = lines.map((each) => JSON.stringify(each)).join("\n");
  await withFiles({ "a.jsonl": file }, async (folder) => {
    for (const tokenizer of Object.values(tokenizers)) {
      const options = { ...ALPACA, data: [folder], tokenizer, template: "mistral" };
      const { examples, report } = await open(options);
      const shown = preview(examples, 1, { tokenizer });
      // Decoders may or may not put a space after special tokens.
      const text = shown.replace(/ +/g, " ").replace(/(<s>|<\|begin_of_text\|>) ?/, "");
      const end = tokenizer === tokenizers.llama ? "</s>" : "<|endoftext|>";
      const [first, second] = text.split("\n");
      assertEquals(/^example 1: \d+ tokens, \d+ trained$/.test(first), true);
      assertEquals(
        second.replaceAll(`${end}» [`, `${end}»[`),
        `[INST] q é[/INST]« a 🙂${end}»` +
          `[INST] r[/INST]« b${end}»`,
      );
      const coloured = preview(examples, 9, { tokenizer, colour: true });
      assertEquals(coloured.split("\x1b[32m").length, 4);
      assertEquals(coloured.includes("example 2: "), true);
      const learned = [...coloured.matchAll(/, (\d+) trained/g)].map(([, count]) => Number(count));
      assertEquals(learned[0] + learned[1], report.trainedTokens);
    }
  });
});

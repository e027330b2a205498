/** Data of a program gives what the same records in a file give. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { type BatchSource, BatchStream, type DataOptions } from "../../src/data/batches.ts";
import { checkFiles } from "../../src/data/check_corpus.ts";
import { type Data, dataFault, dataNames, dataSources, dataSpecs } from "../../src/data/data.ts";
import { listFiles } from "../../src/data/files.ts";
import { InstructStream } from "../../src/data/instruct/stream.ts";
import { readOnce } from "../../src/data/memory_file.ts";
import { MixedOrder } from "../../src/data/mixed_order.ts";
import { Corpus } from "../../src/data/sources.ts";
import { UserError } from "../../src/options/user_error.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { c4Texts, withFiles } from "./support.ts";

const TOKENIZER = await loadTokenizer("bytes");
const C4 = await c4Texts();
/** As a file of the same records has them. */
const LINES = C4.map((text) => JSON.stringify({ text }) + "\n").join("");

const OPTIONS: Omit<DataOptions, "data"> = {
  split: "train",
  tokenizer: TOKENIZER,
  batchSize: 2,
  seqLen: 64,
  shuffleBuffer: 16,
  heldOutShare: 0.2,
};

async function* later<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item);
}

async function batches(source: BatchSource, count: number) {
  const taken = [];
  for (let i = 0; i < count; i++) taken.push(await source.next());
  await source.close();
  return taken;
}

const records = () => C4.map((text) => ({ text }));
const bytes = () => new TextEncoder().encode(LINES);

/** The same documents in every form that is kept. */
const FORMS: Record<string, () => Data> = {
  "an array of records": records,
  "a list of an array of texts": () => [[...C4]],
  "a set of texts": () => new Set(C4),
  "a generator": () => records().values(),
  "an async generator": () => later(records()),
  "records with fields of their own": () => records().map((each) => ({ ...each, id: 7n })),
  "a response": () => new Response(bytes()),
  "a compressed response": () =>
    new Response(new Blob([bytes()]).stream().pipeThrough(new CompressionStream("gzip"))),
  "a file": () => new File([bytes()], "c4.jsonl"),
  "a stream of bytes": () => new Blob([bytes()]).stream(),
  "a stream of records": () => ReadableStream.from(records()),
};

for (const [form, make] of Object.entries(FORMS)) {
  Deno.test(`${form} trains as a file of JSON Lines does`, () =>
    withFiles({ "c4.jsonl": LINES }, async (folder) => {
      const path = join(folder, "c4.jsonl");
      for (const split of ["train", "eval"] as const) {
        const options = { ...OPTIONS, split, repeat: true };
        const wanted = await batches(await BatchStream.open({ ...options, data: [path] }), 40);
        const data = make();
        assertEquals(await batches(await BatchStream.open({ ...options, data }), 40), wanted);
        // What can be read only once is there again, for an evaluation or another epoch.
        assertEquals(await batches(await BatchStream.open({ ...options, data }), 40), wanted);
      }
    }));
}

Deno.test("a corpus larger than a pool is mixed as its file is", () =>
  withFiles({ "c4.jsonl": LINES }, async (folder) => {
    const order = async (data: Data) => {
      const options = { textField: "text", share: "all" as const, heldOutShare: 0 };
      const corpus = await Corpus.open(dataSpecs(data), options);
      const mixed = await MixedOrder.open(corpus, { seed: 1, seqLen: 64 }, 1 << 14);
      return (await Array.fromAsync(mixed.pieces(0))).map(({ text, where }) => ({ text, where }));
    };
    // Parts have at least 64 KiB, so that this takes a larger corpus.
    const many = Array.from({ length: 4 }, (_, copy) => C4.map((text) => `${copy} ${text}`)).flat();
    const path = join(folder, "many.jsonl");
    await Deno.writeTextFile(path, many.map((text) => JSON.stringify({ text }) + "\n").join(""));
    const wanted = (await order([path])).map(({ text }) => text);
    assert(wanted[0] !== many[0]);
    for (const data of [[many], later(many)] as Data[]) {
      const pieces = await order(data);
      assertEquals(pieces.map(({ text }) => text), wanted);
      for (const { text, where } of pieces) {
        const label = Array.isArray(data) ? "data[0]" : "data";
        assertEquals(where, `${label}[${many.indexOf(text)}]`);
      }
    }
  }));

Deno.test("a stream goes on where another was, and refuses other data", async () => {
  const open = (data: Data, position?: DataOptions["position"]) =>
    BatchStream.open({ ...OPTIONS, data, position });
  for (const make of [records, () => later(records())]) {
    const first = await open(make());
    for (let i = 0; i < 17; i++) await first.next();
    const position = JSON.parse(JSON.stringify(first.position()));
    const wanted = await batches(first, 20);
    assertEquals(await batches(await open(make(), position), 20), wanted);
    const other = records();
    other[3] = { text: other[3].text.replace(/.$/s, "#") };
    await assertRejects(() => open(other, position), UserError, "content was ");
  }
});

Deno.test("examples from memory are those of a file, and messages name items", () => {
  const chats = [
    { instruction: "Add 1 and 2.", output: "3" },
    { instruction: "Say hello.", input: "in French", output: "Bonjour" },
  ];
  const options = {
    split: "train" as const,
    tokenizer: TOKENIZER,
    template: "alpaca",
    batchSize: 1,
    seqLen: 256,
    heldOutShare: 0,
  };
  const lines = chats.map((each) => JSON.stringify(each) + "\n").join("");
  return withFiles({ "chats.jsonl": lines }, async (folder) => {
    const path = join(folder, "chats.jsonl");
    const open = (data: Data) => InstructStream.open({ ...options, data });
    const wanted = await batches(await open([path]), 5);
    const rows = chats.map(({ instruction, input, output }, id) => {
      return Object.assign(Object.create(null), { q: instruction, more: input, a: output, id });
    });
    const columns = { prompt: "q", query: "more", response: "a" };
    for (
      const data of [
        chats,
        [chats.slice(0, 1), later(chats.slice(1))],
        () => chats,
        () => Promise.resolve(later(chats)),
        { rows, columns },
        [{ rows: rows.values(), columns }],
        new Response(lines),
      ] as Data[]
    ) assertEquals(await batches(await open(data), 5), wanted);

    const bad = [...chats, ...chats].map((each) => ({ ...each }));
    Object.assign(bad[3], { output: null });
    const error = await assertRejects(() => open(bad), UserError);
    assert(error.message.includes('data[3]: has no field "output" (it is null)'), error.message);
    Object.assign(bad[3], { output: 5 });
    for (const data of [bad, later(bad), () => bad] as Data[]) {
      await assertRejects(
        () => open(data),
        UserError,
        'data[3]: field "output" must be a string, got 5 (an integer)',
      );
    }
    await assertRejects(
      () => open([path, bad]),
      UserError,
      'data[1][3]: field "output" must be a string',
    );
    await assertRejects(
      () => open({ rows: chats, columns: { promt: "instruction" } }),
      UserError,
      '"columns.promt" is not supported here',
    );
  });
});

Deno.test("a function is called at each pass, and its items are read as they come", async () => {
  let calls = 0, made = 0;
  const endless = function* () {
    calls++;
    for (let i = 0;; i++) {
      made++;
      yield `text number ${i} of this pass `.repeat(8);
    }
  };
  const options = { ...OPTIONS, heldOutShare: 0, shuffleBuffer: 4 };
  const stream = await BatchStream.open({ ...options, data: endless });
  const first = await batches(stream, 30);
  assertEquals(calls, 1);
  // Hardly more than the rows of the batches and of two blocks.
  assert(made < 40, `${made} items were made for 60 rows of 64 tokens`);
  const again = await BatchStream.open({ ...options, data: endless });
  await again.next();
  const resumed = await BatchStream.open({
    ...options,
    data: endless,
    position: again.position(),
  });
  assertEquals(await batches(resumed, 29), first.slice(1));
  await again.close();

  // Passes over finite items.
  const few = () => C4.slice(0, 3);
  const passes = await BatchStream.open({ ...options, data: few });
  while (passes.epoch < 3) await passes.next();
  await assertRejects(
    () => BatchStream.open({ ...OPTIONS, data: endless }),
    UserError,
    "data: is read as it comes, so nothing of it can be held out",
  );
});

/** What is wrong with data, and what is said. */
const BAD: readonly (readonly [unknown, string])[] = [
  [[], "data: must not be empty"],
  [["Once upon a time.", "The end is near?"], 'data "Once upon a time.": no such file'],
  [["two\nlines"], 'data "two\\nlines": no such file'],
  [5, "data: must be paths, or data in memory, got a number"],
  [null, "data: must be paths, or data in memory, got null"],
  [Promise.resolve([]), "data: must be paths, or data in memory, got a Promise: await it first"],
  [{ text: "x" }, "got an object: a single record is written [record]"],
  [["a.txt", { text: "x" }], "data: mixes strings, which are paths in a list, and records"],
  [[].values(), "data: has no item"],
  [new Set([5]), "data[0]: must be a JSON object, got 5"],
  [[{ text: "a" }, null], "data[1]: must be a JSON object, got null"],
  [[{ text: "a" }, undefined], "data[1]: must be a text or a record, got nothing"],
  [[Promise.resolve("a")], "data[0]: must be a JSON value, got a Promise"],
  [[{ text: new Map() }], 'data[0]: field "text" must be a JSON value, got a Map'],
  [
    [{ text: "a", at: { n: [1, NaN] } }],
    'data[0]: field "at.n[1]" must be a finite number, got NaN',
  ],
  [[{ text: new Uint8Array(9) }], 'data[0]: field "text" must be a string, got object'],
  [[{ text: 5n }], 'data[0]: field "text" must be a string, got number'],
  [new Response("no", { status: 404, statusText: "Not Found" }), "the response is 404 Not Found"],
  [new Response(null), "data: the response has no body"],
  [new Response(""), "data: is empty"],
  [() => 5, "data: the function must return items, got 5"],
  [failing(), "data[1]: cannot be read: the line is dead"],
  [() => failing(), "data[1]: cannot be read: the line is dead"],
  [{ rows: [{}], columns: {} }, "data: columns are for examples to fine-tune on"],
];

async function* failing() {
  yield await Promise.resolve("a text of some tokens");
  throw new Error("the line is dead");
}

Deno.test("bad data is refused in words", async () => {
  for (const [data, message] of BAD) {
    await assertRejects(
      async () => {
        const stream = await BatchStream.open({
          ...OPTIONS,
          heldOutShare: 0,
          data: data as Data,
        });
        await batches(stream, 50);
      },
      UserError,
      message,
    );
  }
  assertThrows(() => dataSpecs([1, 2] as unknown as Data) && fail(), Error);
  const read = new Response("x");
  await read.text();
  await assertRejects(
    () => listFiles(dataSpecs(read)),
    UserError,
    "the response has already been read",
  );
});

function fail(): never {
  throw new Error("items are checked when they are read");
}

Deno.test("what can be read only once is read with progress, and let go of when that is ended", async () => {
  const counts: number[] = [];
  let closed = false;
  const items = async function* () {
    try {
      yield* later(records());
    } finally {
      closed = true;
    }
  };
  await readOnce(dataSources(["a.txt", items(), C4, () => C4]), (count) => counts.push(count));
  assertEquals(counts, C4.map((_, index) => index + 1));
  for (const data of [items(), new Response(bytes()), ReadableStream.from(records())] as Data[]) {
    closed = false;
    const stop = new Error("enough");
    const reading = readOnce(dataSources(data), () => {
      throw stop;
    });
    assertEquals(await reading.catch((error) => error), stop);
    assertEquals(closed, data instanceof Object && "throw" in data);
  }
});

Deno.test("data is named in documents as its author would", () => {
  assertEquals(dataNames(["a.txt", "hf:org/name"]), ["a.txt", "hf:org/name"]);
  assertEquals(dataNames([{ text: "a" }, { text: "b" }]), ["2 records of a program"]);
  assertEquals(dataNames(["a.txt", new Set(["b"])]), ["a.txt", "data of a program"]);
  assertEquals(dataFault("a.txt"), undefined);
});

Deno.test("an item longer than a chunk, and characters of every length, are read whole", async () => {
  const texts = ["é€😀".repeat(100_000), "", "x", "\ud800 is half a pair"];
  const [file] = (await listFiles(dataSpecs([texts]))).files;
  await checkFiles([file], "text");
  const read = await Array.fromAsync(file.read({ offset: 0, record: 0 }, { textField: "text" }));
  assertEquals(read.map(({ text }) => text), texts);
  assertEquals(
    file.size,
    new TextEncoder().encode(
      texts.map((text) => JSON.stringify({ text }) + "\n").join(""),
    ).length,
  );
  for (const { place } of read) {
    const again = await Array.fromAsync(file.read(place, { textField: "text" }));
    assertEquals(again.map(({ text }) => text), texts.slice(place.record));
  }
});

Deno.test("an array that changes under a run ends it, but may grow", async () => {
  const changes: [(items: { text: string }[]) => void, string?][] = [
    [(items) => items.push({ text: "joined" })],
    [(items) => items.length = 2, "data[2]: has changed during the run"],
    [(items) => items[1] = { text: "shorter" }, "data[1]: has changed during the run"],
  ];
  for (const [change, message] of changes) {
    const items = records(), [file] = (await listFiles(dataSpecs(items))).files;
    change(items);
    const read = Array.fromAsync(file.read({ offset: 0, record: 0 }, { textField: "text" }));
    if (message) await assertRejects(() => read, UserError, message);
    else assertEquals((await read).map(({ text }) => text), C4);
  }
});

Deno.test("what is nearly data is refused in words that say what would be right", async () => {
  assertEquals(
    dataFault(bytes()),
    "must be paths, or data in memory, got bytes: what a file holds is written new Blob([bytes])",
  );
  assertEquals(
    dataFault(new URL("https://example.com/a.txt")),
    "must be paths, or data in memory, got a URL: give a file's path, or what fetch returns",
  );
  const stream = new Blob([bytes()]).stream().pipeThrough(new TextDecoderStream());
  await assertRejects(
    () => listFiles(dataSpecs(stream as Data)),
    UserError,
    "data: is a stream of strings, whose pieces need not be whole texts or records",
  );
  const round: Record<string, unknown> = { text: "a" };
  round.self = round;
  const error = await assertRejects(() => listFiles(dataSpecs([round])), UserError);
  assertEquals(
    error.message,
    `data[0]: field "${"self.".repeat(16)}… (2,504 characters)" is nested more than 500 levels ` +
      "deep, or refers to itself",
  );
});

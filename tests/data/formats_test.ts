import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { ByteSource } from "../../src/data/byte_source.ts";
import { csvRecords } from "../../src/data/csv_reader.ts";
import { START } from "../../src/data/documents.ts";
import { jsonRecords } from "../../src/data/jsonl_reader.ts";
import { readText } from "../../src/data/text_reader.ts";
import { listFiles } from "../../src/data/files.ts";
import { Corpus } from "../../src/data/sources.ts";
import { UserError } from "../../src/options/user_error.ts";
import { DATA, jsonl, withFiles } from "./support.ts";
import { assertRefusesAsync } from "../support_errors.ts";

const ALL = { textField: "text", share: "all", heldOutShare: 0 } as const;

async function textsOf(...specs: string[]): Promise<string[]> {
  const corpus = await Corpus.open(specs, ALL);
  const pieces = await Array.fromAsync(corpus.pieces(corpus.files.map((_, index) => index)));
  return pieces.map(({ text }) => text);
}

/** As in tests/golden/make_tables.py. */
const PACKED_TEXTS = Array.from(
  { length: 400 },
  (_, i) => `document ${i} ` + "é漢🙂 ".repeat(i % 7),
);

for (const name of ["texts.jsonl.gz", "texts.jsonl.bz2", "texts.jsonl.zst", "long.jsonl.zst"]) {
  Deno.test(`${name}, written by Python in several parts: all are read, from any place`, async () => {
    const corpus = await Corpus.open([DATA + "packed/" + name], ALL);
    const pieces = await Array.fromAsync(corpus.pieces([0]));
    assertEquals(pieces.map(({ text }) => text), PACKED_TEXTS);
    for (const at of [1, 150, 399]) {
      const rest = await Array.fromAsync(corpus.pieces([0], pieces[at].place));
      assertEquals(rest, pieces.slice(at));
    }
    // As a checkpoint written before offsets in compressed files has it.
    const counted = { file: 0, offset: 0, record: 150 };
    assertEquals((await Array.fromAsync(corpus.pieces([0], counted)))[0].text, PACKED_TEXTS[150]);
    const bytes = await Deno.readFile(DATA + "packed/" + name);
    for (const length of [bytes.length - 1, bytes.length >> 1, 5]) {
      await withFiles({ [name]: bytes.slice(0, length) }, async (folder) => {
        await assertRefusesAsync(
          () => textsOf(join(folder, name)),
          UserError,
          "data is cut short or damaged",
        );
      });
    }
    // A name that does not tell of the compression.
    await withFiles({ "a.jsonl": bytes, "b": bytes }, async (folder) => {
      assertEquals(await textsOf(join(folder, "a.jsonl")), PACKED_TEXTS);
      assertEquals(await textsOf(join(folder, "b")), PACKED_TEXTS);
    });
  });
}

Deno.test("a compressed text reads, and is held out, as it would be uncompressed", async () => {
  const text = Array.from({ length: 9000 }, (_, i) => `line ${i} of a text\n`).join("");
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  const files = { "a.txt": text, "b.txt.gz": await new Response(packed).bytes() };
  await withFiles(files, async (folder) => {
    for (const share of ["all", "train", "eval"] as const) {
      const read = async (name: string) => {
        const corpus = await Corpus.open([join(folder, name)], {
          ...ALL,
          share,
          heldOutShare: 0.3,
        });
        const pieces = await Array.fromAsync(corpus.pieces([0]));
        const later = await Array.fromAsync(corpus.pieces([0], pieces.at(-1)!.place));
        assertEquals(later, pieces.slice(-1));
        return pieces.map(({ text, place, first, last }) => ({ text, place, first, last }));
      };
      assertEquals(await read("b.txt.gz"), await read("a.txt"));
    }
  });
});

/** Layouts of the same two records. */
const RECORDS = [{ text: "a\u2028b\u0085c", n: 1 }, { text: "é漢🙂", n: 2 }];
const [ONE, TWO] = RECORDS.map((each) => JSON.stringify(each));
const LAYOUTS: Record<string, string> = {
  "lines": `${ONE}\n${TWO}\n`,
  "lines with CRLF and blank ones": `\r\n${ONE}\r\n \r\n${TWO}\r\n\r\n`,
  "a byte order mark": `\ufeff${ONE}\n${TWO}`,
  "an array": JSON.stringify(RECORDS),
  "an indented array": JSON.stringify(RECORDS, null, 2),
  "indented objects": RECORDS.map((each) => JSON.stringify(each, null, 2)).join("\n"),
  "an object with one list": JSON.stringify({ version: "1.1", data: RECORDS }),
  "the same, indented": JSON.stringify({ train: RECORDS }, null, 2),
};

for (const [layout, json] of Object.entries(LAYOUTS)) {
  Deno.test(`JSON in ${layout}: the same records, from any place`, async () => {
    await withFiles({ "a.json": json, "b.ndjson": json, "no_ending": json }, async (folder) => {
      for (const name of ["a.json", "b.ndjson", "no_ending"]) {
        const corpus = await Corpus.open([join(folder, name)], ALL);
        const pieces = await Array.fromAsync(corpus.pieces([0]));
        assertEquals(pieces.map(({ text }) => text), RECORDS.map(({ text }) => text));
        assertEquals(await Array.fromAsync(corpus.pieces([0], pieces[1].place)), [pieces[1]]);
      }
    });
  });
}

/** A source that gives its bytes a few at a time. */
function inChunks(text: string, size: number): ByteSource {
  const bytes = new TextEncoder().encode(text);
  return {
    path: "a",
    size: bytes.length,
    async *chunks(offset = 0) {
      for (; offset < bytes.length; offset += size) yield bytes.slice(offset, offset + size);
    },
  };
}

Deno.test("wherever chunks end, records, tables and texts are the same", async () => {
  for (const size of [1, 2, 3, 5, 16]) {
    for (const [layout, json] of Object.entries(LAYOUTS)) {
      const records = await Array.fromAsync(jsonRecords(inChunks(json, size)));
      assertEquals(records.map(({ value }) => value), RECORDS, `${layout}, chunks of ${size}`);
    }
    const csv = inChunks('\ufeffn,text\r\n1,"é漢🙂\n""x"", y"\r\n2,z\r\n', size);
    const rows = await Array.fromAsync(csvRecords(csv, ","));
    const expected = [{ n: "1", text: 'é漢🙂\n"x", y' }, { n: "2", text: "z" }];
    assertEquals(rows.map(({ value }) => value), expected);
    const text = "é漢🙂 words\n".repeat(1000);
    const pieces = await Array.fromAsync(readText(inChunks(text, size), START, {}));
    assertEquals(pieces.map(({ text }) => text).join(""), text);
  }
});

Deno.test("one indented record is a record, whatever lists it holds", async () => {
  const record = { text: "x", messages: [{ role: "user", content: "y" }] };
  await withFiles({ "a.json": JSON.stringify(record, null, 2) }, async (folder) => {
    assertEquals(await textsOf(folder), ["x"]);
  });
});

Deno.test("CSV and TSV: the first row names columns, quoted values span lines", async () => {
  const rows = [["1", 'say "hi"', "a\nb, c"], ["2", "", "é漢🙂"]];
  const quoted = (each: string) => `"${each.replaceAll('"', '""')}"`;
  const csv = `\ufeffid,other,text\n${rows.map((row) => row.map(quoted).join()).join("\n")}\n\n`;
  const tsv = "id\ttext\r\n1\ta, b\r\n2\tc\r\n";
  const files = { "a.csv": csv, "b.tsv": tsv };
  await withFiles(files, async (folder) => {
    assertEquals(await textsOf(folder), ["a\nb, c", "é漢🙂", "a, b", "c"]);
    const [file] = (await listFiles([join(folder, "a.csv")])).files;
    const records = await Array.fromAsync(file.records!());
    const values = rows.map(([id, other, text]) => ({ id, other, text }));
    assertEquals(records.map(({ value }) => value), values);
    assertEquals(await Array.fromAsync(file.records!(records[1].place)), [records[1]]);
    await assertRefusesAsync(
      async () =>
        await Array.fromAsync((await Corpus.open([folder], {
          ...ALL,
          textField: "body",
        })).pieces([0])),
      UserError,
      'a.csv, row 1: has no field "body"\n  hint: it has id, other, text',
    );
  });
});

Deno.test("UTF-16 with a byte order mark, either way round", async () => {
  const text = "é漢🙂\nabc\n".repeat(50_000), json = jsonl(["é漢🙂", "abc"]);
  const utf16 = (text: string, littleEndian: boolean) => {
    const view = new DataView(new ArrayBuffer(2 * text.length + 2));
    for (const [at, each] of ("\ufeff" + text).split("").entries()) {
      view.setUint16(2 * at, each.charCodeAt(0), littleEndian);
    }
    return new Uint8Array(view.buffer);
  };
  const files = {
    "a.txt": utf16(text, true),
    "b.txt": utf16(text, false),
    "c.jsonl": utf16(json, true),
  };
  await withFiles(files, async (folder) => {
    assertEquals((await textsOf(join(folder, "a.txt"))).join(""), text);
    assertEquals((await textsOf(join(folder, "b.txt"))).join(""), text);
    assertEquals(await textsOf(join(folder, "c.jsonl")), ["é漢🙂", "abc"]);
  });
});

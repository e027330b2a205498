/** Uploads without a file ending, and with a wrong one. Contents are files of other programs. */
import zlib from "node:zlib";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { toFile } from "openai";
import { listFiles } from "../../../src/data/files.ts";
import type { FileContents } from "../../../src/server/store/records.ts";
import { GOOD_LINE, postForm, uploadOf, withFilesServer } from "./support.ts";

const FIXTURES = new URL("../../fixtures/", import.meta.url);
const read = (name: string) => Deno.readFile(new URL(name, FIXTURES));

const NONE: FileContents = { chat: 0, completion: 0, text: 0 };
const TABLE = "prompt,completion\na,b\nc,d\n";
const TEXT = "It was the best of times, it was the worst of times.\n";

Deno.test("an upload without an ending is what its content is, for training too", async () => {
  const cases: [string, string | Uint8Array, string, FileContents][] = [
    ["fine-tune", `${GOOD_LINE}\n${GOOD_LINE}\n`, ".jsonl", { ...NONE, chat: 2 }],
    ["fine-tune", `\ufeff[${GOOD_LINE}]`, ".json", { ...NONE, chat: 1 }],
    ["fine-tune", TABLE, ".csv", { ...NONE, completion: 2 }],
    ["fine-tune", TABLE.replaceAll(",", "\t"), ".tsv", { ...NONE, completion: 2 }],
    ["fine-tune", zlib.gzipSync(TABLE), ".csv.gz", { ...NONE, completion: 2 }],
    ["fine-tune", zlib.zstdCompressSync(GOOD_LINE), ".jsonl.zst", { ...NONE, chat: 1 }],
    ["fine-tune", await read("instruct/tools.parquet"), ".parquet", { ...NONE, chat: 1 }],
    ["pretrain", TEXT, ".txt", NONE],
    ["pretrain", await read("server/text.parquet"), ".parquet", { ...NONE, text: 2 }],
    ["pretrain", await read("data/packed/texts.jsonl.bz2"), ".jsonl.bz2", { ...NONE, text: 400 }],
    ["pretrain", zlib.gzipSync(TEXT), ".txt.gz", NONE],
    ["pretrain", 'title,text\n"a","b"\n', ".csv", { ...NONE, text: 1 }],
  ];
  await withFilesServer({}, async ({ client, services: { store, storage }, names }) => {
    for (const [purpose, content, ending, contents] of cases) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      // Python's client names bytes in memory so.
      const file = await client.files.create({
        file: await toFile(bytes, "upload"),
        purpose: purpose as "fine-tune",
      });
      assertEquals(file.filename, "upload");
      const record = store.files.get(file.id)!;
      assertEquals([record.ending, record.contents], [ending, contents], ending);
      const path = storage.filePath(record);
      assertEquals(path.endsWith(`${file.id}${ending}`), true);
      const { files: [opened] } = await listFiles([path]);
      const isText = ending.startsWith(".txt");
      assertEquals(opened.records === undefined, isText, ending);
      if (!isText) assertEquals((await Array.fromAsync(opened.records!())).length, record.lines);
    }
    assertEquals(names().length, cases.length);
  });
});

Deno.test("what content does not show, or a name gets wrong, is refused with the right name", async () => {
  const parquet = await read("instruct/tools.parquet");
  const cases: [string, string | Uint8Array, string][] = [
    ["upload", TEXT, "has no file ending, and its content is in no format of examples"],
    ["blob", "question;answer\na;b", "is in no format of examples"],
    ["upload", "", "The file is empty"],
    ["upload", "{oops", "is not valid JSON"],
    ["upload", new Uint8Array([0, 1, 2, 3]), "is neither text nor a known data format"],
    ["upload", zlib.gzipSync(GOOD_LINE).subarray(0, 30), "the gzip data is cut short or damaged"],
    ["data.jsonl", parquet, "data.jsonl: is named as .jsonl, but its content is that of .parquet"],
    ["data.csv", parquet, "content is that of .parquet: rename it"],
    ["data.parquet", await read("data/tables/file.arrow"), "content is that of .arrow"],
    ["data.csv", GOOD_LINE, "content is that of .jsonl"],
    ["data.jsonl.gz", GOOD_LINE, "is named as .jsonl.gz, but its content is that of .jsonl"],
    ["data.sh", GOOD_LINE, "is not named as a data file; supported: "],
  ];
  await withFilesServer({}, async ({ url, names }) => {
    for (const [filename, content, message] of cases) {
      const { status, json } = await postForm(url, uploadOf(content, { filename }));
      assertEquals([status, json.error?.param, json.error?.code], [400, "file", "invalid_file"]);
      assertStringIncludes(json.error!.message, message);
    }
    assertEquals(names(), []);
  });
});

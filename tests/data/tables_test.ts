import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { listFiles } from "../../src/data/files.ts";
import { parseJson, stringifyJson } from "../../src/files/json_value.ts";
import { UserError } from "../../src/options/user_error.ts";
import { Corpus } from "../../src/data/sources.ts";
import { DATA, withFiles } from "./support.ts";
import { assertRefusesAsync } from "../support_errors.ts";

const TABLES = DATA + "tables/";
const FILES = [
  "all.parquet",
  "data-00000-of-00001.arrow", // as datasets' save_to_disk writes it
  "file.arrow",
  "lz4.feather",
  "zstd.feather",
];

for (const name of FILES) {
  Deno.test(`tables: ${name} holds what pyarrow's to_pylist gives, from any row on`, async () => {
    // The text that Python's json wrote, so that 1.0 and 2**60 + 1 are compared as spelled.
    const expected = parseJson(await Deno.readTextFile(TABLES + "rows.json")) as unknown[];
    const { files: [file] } = await listFiles([TABLES + name]);
    const records = await Array.fromAsync(file.records!());
    assertEquals(
      records.map(({ value }) => JSON.parse(stringifyJson(value), keepNumbers)),
      expected.map((row) => JSON.parse(stringifyJson(row), keepNumbers)),
    );
    for (const from of [1, 2]) {
      const rest = await Array.fromAsync(file.records!(records[from].place));
      assertEquals(rest.map(({ where }) => where), records.slice(from).map(({ where }) => where));
    }
    await assertRefusesAsync(
      () => textsOf(name, "binary"),
      UserError,
      `${name}, row 1: field "binary" must be a string, got binary data`,
    );
    await assertRefusesAsync(
      () => textsOf(name, "int64"),
      UserError,
      `${name}, row 1: field "int64" must be a string, got number`,
    );
    await assertRefusesAsync(
      () => textsOf(name, "none"),
      UserError,
      `${name}: has no field "none"\n  hint: it has text, int64`,
    );
    assertEquals(await textsOf(name, "dictionary"), ["x", "y", "x"]);
  });
}

for (const name of FILES) {
  Deno.test(`tables: ${name}, cut short anywhere, is refused`, async () => {
    const bytes = await Deno.readFile(TABLES + name);
    // Some of them between two record batches.
    for (let length = 1; length < bytes.length; length += length < 200 ? 50 : 211) {
      await withFiles({ [name]: bytes.slice(0, length) }, async (folder) => {
        const read = async () => {
          const { files: [file] } = await listFiles([join(folder, name)]);
          return await Array.fromAsync(file.records!());
        };
        await assertRejects(read, UserError, name);
      });
    }
    const ends = bytes.slice(0, -8); // a stream without its end reads as a whole one
    await withFiles({ [name]: ends }, async (folder) => {
      const { files: [file] } = await listFiles([join(folder, name)]);
      await assertRejects(() => Array.fromAsync(file.records!()), UserError, name);
    });
  });
}

/** Numbers as their source text. */
function keepNumbers(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === "number" ? `number ${context?.source}` : value;
}

async function textsOf(name: string, textField: string): Promise<string[]> {
  const corpus = await Corpus.open([TABLES + name], { textField, share: "all", heldOutShare: 0 });
  return (await Array.fromAsync(corpus.pieces([0]))).map(({ text }) => text);
}

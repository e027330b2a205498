/**
 * Comma- and tab-separated values (RFC 4180): the first row names the columns, every value is a
 * string, and a quoted one may span lines.
 */
import { CsvParseStream } from "../packages/std_csv.ts";
import { UserError } from "../options/user_error.ts";
import type { ByteSource } from "./byte_source.ts";
import {
  type Piece,
  type Place,
  type ReaderOptions,
  START,
  textOf,
  unreadable,
} from "./documents.ts";
import type { DataRecord } from "./jsonl_reader.ts";
import { decodedText } from "./text_reader.ts";
import { quoted } from "../text.ts";

export type Separator = "," | "\t";

/** The texts of {@link csvRecords} as documents. */
export async function* readCsv(
  source: ByteSource,
  separator: Separator,
  from: Place,
  { textField }: ReaderOptions,
): AsyncGenerator<Piece> {
  for await (const { value, where, place } of csvRecords(source, separator, from)) {
    yield { text: textOf(value, textField, where), first: true, last: true, where, place };
  }
}

/** Rows as objects, from a given row, which must be counted from the start. */
export async function* csvRecords(
  source: ByteSource,
  separator: Separator,
  from: Place = START,
): AsyncGenerator<DataRecord> {
  const { path } = source;
  const rows = ReadableStream.from(decodedText(source))
    .pipeThrough(new CsvParseStream({ separator }));
  let columns: readonly string[] | undefined, record = 0;
  try {
    for await (const row of rows) {
      if (!columns) {
        columns = row;
        assertColumns(columns, path);
        continue;
      }
      const where = `${path}, row ${record + 1}`;
      if (row.length !== columns.length) {
        throw new UserError(
          `${where}: has ${row.length} values for ${columns.length} columns`,
          `the first row names the columns: ${columns.join(", ")}`,
        );
      }
      if (record >= from.record) {
        const value = Object.fromEntries(columns.map((name, at) => [name, row[at]]));
        yield { value, where, place: { offset: 0, record } };
      }
      record++;
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw unreadable(path, error);
    throw new UserError(
      `${path}: cannot be read: ${error.message}`,
      'a value with quotes, separators or line ends is written in quotes: "say ""hi"""',
    );
  }
}

function assertColumns(columns: readonly string[], path: string): void {
  const twice = columns.find((name, at) => columns.indexOf(name) !== at);
  if (twice === undefined) return;
  throw new UserError(
    `${path}: its first row, which names the columns, has ${quoted(twice)} twice`,
  );
}

/** Parquet: a row is a record; one row group of the required columns is in memory at a time. */
import { type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { FileRange } from "../files/file_range.ts";
import { UserError } from "../options/user_error.ts";
import { option, phrase } from "../options/phrase.ts";
import {
  type Piece,
  type Place,
  type ReaderOptions,
  START,
  textOf,
  unreadable,
} from "./documents.ts";
import type { DataRecord } from "./jsonl_reader.ts";

/** The texts of {@link parquetRecords} as documents. */
export async function* readParquet(
  path: string,
  from: Place,
  { textField }: ReaderOptions,
): AsyncGenerator<Piece> {
  for await (const { value, where, place } of parquetRecords(path, from, [textField])) {
    yield { text: textOf(value, textField, where), first: true, last: true, where, place };
  }
}

/** Rows as objects, from a given row; `columns` defaults to all. */
export async function* parquetRecords(
  path: string,
  from: Place = START,
  columns?: string[],
): AsyncGenerator<DataRecord> {
  const opened = await FileRange.open(path).catch((error) => {
    throw unreadable(path, error);
  });
  let where = path;
  try {
    const file = {
      byteLength: opened.size,
      slice: async (start: number, end = opened.size) => (await opened.read(start, end)).buffer,
    };
    const metadata = await parquetMetadataAsync(file);
    for (const column of columns ?? []) assertColumn(metadata, column, path);
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      if (rowEnd > from.record) {
        where = `${path}, rows ${rowStart + 1} to ${rowEnd}`;
        const range = { rowStart: Math.max(rowStart, from.record), rowEnd };
        const rows = await parquetReadObjects({ file, metadata, columns, compressors, ...range });
        for (const [index, value] of rows.entries()) {
          const record = range.rowStart + index;
          const where = `${path}, row ${record + 1}`;
          yield { value, where, place: { offset: 0, record }, fromTable: true };
        }
      }
      rowStart = rowEnd;
    }
  } catch (error) {
    throw unreadable(where, error);
  } finally {
    opened.close();
  }
}

/** The first element of the schema is its root; a column of plain values has no children. */
function assertColumn({ schema }: FileMetaData, name: string, path: string): void {
  const columns = schema.slice(1).map((element) => element.name);
  if (columns.includes(name)) return;
  throw new UserError(
    `${path}: has no field "${name}"`,
    phrase`it has ${columns.join(", ")}; see ${option("textField")}`,
  );
}

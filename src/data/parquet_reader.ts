/** Parquet: a row is a record; one row group of the required columns is in memory at a time. */
import {
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { FileRange } from "../files/file_range.ts";
import { objectOf } from "../files/json_value.ts";
import {
  assertColumn,
  type Piece,
  type Place,
  type ReaderOptions,
  START,
  textOf,
  unreadable,
} from "./documents.ts";
import type { DataRecord } from "./jsonl_reader.ts";
import { parquetConvert, PARSERS } from "./parquet_types.ts";

/** A table on the disk, and what messages call it. */
export interface TableFile {
  readonly path: string;
  readonly label: string;
}

/** The texts of {@link parquetRecords} as documents. */
export async function* readParquet(
  file: TableFile,
  from: Place,
  { textField }: ReaderOptions,
): AsyncGenerator<Piece> {
  for await (const { value, where, place } of parquetRecords(file, from, [textField])) {
    yield { text: textOf(value, textField, where), first: true, last: true, where, place };
  }
}

/** Rows as objects, from a given row; `columns` defaults to all. */
export async function* parquetRecords(
  { path, label }: TableFile,
  from: Place = START,
  columns?: string[],
): AsyncGenerator<DataRecord> {
  const opened = await FileRange.open(path).catch((error) => {
    throw unreadable(label, error);
  });
  let where = label;
  try {
    const file = {
      byteLength: opened.size,
      slice: async (start: number, end = opened.size) => (await opened.read(start, end)).buffer,
    };
    const metadata = await parquetMetadataAsync(file);
    for (const column of columns ?? []) assertColumn(columnsOf(metadata), column, label);
    const fields = parquetSchema(metadata).children
      .filter(({ element }) => columns?.includes(element.name) ?? true)
      .map((each) => [each.element.name, parquetConvert(each)] as const);
    const read = { file, metadata, columns, compressors, parsers: PARSERS, utf8: false };
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      if (rowEnd > from.record) {
        where = `${label}, rows ${rowStart + 1} to ${rowEnd}`;
        const range = { rowStart: Math.max(rowStart, from.record), rowEnd };
        const rows = await parquetReadObjects({ ...read, ...range });
        for (const [index, row] of rows.entries()) {
          const record = range.rowStart + index;
          const value = objectOf(fields.map(([name, convert]) => [name, convert(row[name])]));
          const where = `${label}, row ${record + 1}`;
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

function columnsOf(metadata: FileMetaData): string[] {
  return parquetSchema(metadata).children.map(({ element }) => element.name);
}

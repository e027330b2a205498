/** Parquet: a row is a record; one row group of the required columns is in memory at a time. */
import {
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "../packages/hyparquet.ts";
import { compressors } from "../packages/hyparquet_compressors.ts";
import { FileRange } from "../files/file_range.ts";
import { objectOf } from "../files/json_value.ts";
import {
  assertColumn,
  type Parts,
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
export function readParquet(
  table: TableFile,
  from: Place,
  options: ReaderOptions,
): AsyncGenerator<Piece> {
  return texts(table, { start: from.record, end: Infinity }, options);
}

/** Rows as objects, from a given row. */
export function parquetRecords(table: TableFile, from: Place = START): AsyncGenerator<DataRecord> {
  return recordsIn(table, { start: from.record, end: Infinity });
}

/** The texts of each row group. */
export async function parquetParts(table: TableFile): Promise<Parts> {
  const opened = await openTable(table);
  try {
    const { row_groups: groups } = await parquetMetadataAsync(opened.file);
    const ends: number[] = [];
    for (const { num_rows } of groups) ends.push((ends.at(-1) ?? 0) + Number(num_rows));
    return {
      count: groups.length,
      read: (part, options) =>
        texts(table, { start: ends[part - 1] ?? 0, end: ends[part] }, options),
    };
  } catch (error) {
    throw unreadable(table.label, error);
  } finally {
    opened.close();
  }
}

interface Rows {
  readonly start: number;
  readonly end: number;
}

async function* texts(
  table: TableFile,
  rows: Rows,
  { textField }: ReaderOptions,
): AsyncGenerator<Piece> {
  for await (const { value, where, place } of recordsIn(table, rows, [textField])) {
    yield { text: textOf(value, textField, where), first: true, last: true, where, place };
  }
}

async function* recordsIn(
  table: TableFile,
  { start, end }: Rows,
  columns?: string[],
): AsyncGenerator<DataRecord> {
  const { label } = table, opened = await openTable(table), { file } = opened;
  let where = label;
  try {
    const metadata = await parquetMetadataAsync(file);
    for (const column of columns ?? []) assertColumn(columnsOf(metadata), column, label);
    const fields = parquetSchema(metadata).children
      .filter(({ element }) => columns?.includes(element.name) ?? true)
      .map((each) => [each.element.name, parquetConvert(each)] as const);
    const read = { file, metadata, columns, compressors, parsers: PARSERS, utf8: false };
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      if (rowStart >= end) break;
      if (rowEnd > start) {
        where = `${label}, rows ${rowStart + 1} to ${rowEnd}`;
        const range = { rowStart: Math.max(rowStart, start), rowEnd };
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

async function openTable({ path, label }: TableFile) {
  const opened = await FileRange.open(path).catch((error) => {
    throw unreadable(label, error);
  });
  const file = {
    byteLength: opened.size,
    slice: async (start: number, end = opened.size) => (await opened.read(start, end)).buffer,
  };
  return { file, close: () => opened.close() };
}

function columnsOf(metadata: FileMetaData): string[] {
  return parquetSchema(metadata).children.map(({ element }) => element.name);
}

/**
 * Arrow: IPC files and streams, as Feather and as Hugging Face's datasets write them. A row is a
 * record; one record batch is in memory at a time.
 */
import { type FileHandle, open } from "node:fs/promises";
import { zstdDecompressSync } from "node:zlib";
import { decompress as decompressLz4 } from "../packages/lz4js.ts";
import { objectOf } from "../files/json_value.ts";
import { UserError } from "../options/user_error.ts";
import { arrowConvert } from "./arrow_types.ts";
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
import type { TableFile } from "./parquet_reader.ts";

/** The texts of {@link arrowRecords} as documents. */
export async function* readArrow(
  file: TableFile,
  from: Place,
  { textField }: ReaderOptions,
): AsyncGenerator<Piece> {
  for await (const { value, where, place } of arrowRecords(file, from, [textField])) {
    yield { text: textOf(value, textField, where), first: true, last: true, where, place };
  }
}

/** Rows as objects, from a given row; `columns` defaults to all. */
export async function* arrowRecords(
  { path, label }: TableFile,
  from: Place = START,
  columns?: string[],
): AsyncGenerator<DataRecord> {
  const arrow = await loadArrow();
  const file = await open(path).catch((error) => {
    throw unreadable(label, error);
  });
  let record = 0;
  try {
    await assertComplete(file, label);
    const reader = await arrow.RecordBatchReader.from(file);
    await reader.open();
    const names = reader.schema.fields.map(({ name }) => name);
    for (const column of columns ?? []) assertColumn(names, column, label);
    for await (const batch of reader) {
      const end = record + batch.numRows;
      if (end > from.record) {
        const fields = batch.schema.fields.flatMap(({ name, type }, at) =>
          columns?.includes(name) ?? true
            ? [{ name, values: batch.getChildAt(at), convert: arrowConvert(arrow, type) }]
            : []
        );
        for (let row = Math.max(0, from.record - record); row < batch.numRows; row++) {
          const value = objectOf(
            fields.map(({ name, values, convert }) => [name, convert(values?.get(row))]),
          );
          const at = record + row;
          const where = `${label}, row ${at + 1}`;
          yield { value, where, place: { offset: 0, record: at }, fromTable: true };
        }
      }
      record = end;
    }
  } catch (error) {
    throw unreadable(`${label}, after row ${record}`, error);
  } finally {
    await file.close().catch(() => {}); // the reader closes it at the end
  }
}

const MAGIC = new TextEncoder().encode("ARROW1");
const END_OF_STREAM = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);

/** A stream that ends between two batches reads as a shorter one, so its end must be marked. */
async function assertComplete(file: FileHandle, label: string): Promise<void> {
  const { size } = await file.stat();
  const isAt = async (position: number, expected: Uint8Array) => {
    const bytes = new Uint8Array(expected.length);
    await file.read(bytes, 0, bytes.length, Math.max(0, position));
    return expected.every((byte, at) => bytes[at] === byte);
  };
  const end = await isAt(0, MAGIC) ? MAGIC : END_OF_STREAM;
  if (size > end.length && await isAt(size - end.length, end)) return;
  throw new UserError(
    `${label}: the Arrow data is cut short`,
    "was the file written to its end, and copied or downloaded completely?",
  );
}

/** Loaded where needed: the package takes a while to start. */
async function loadArrow() {
  const arrow = await import("../packages/apache_arrow.ts");
  const { compressionRegistry, CompressionType } = arrow;
  compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: (frame) => decompressLz4(frame) });
  compressionRegistry.set(CompressionType.ZSTD, { decode: (frame) => zstdDecompressSync(frame) });
  return arrow;
}

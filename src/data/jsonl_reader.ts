/** JSON records, plain or gzipped: one per line (JSON Lines), or the elements of one array. */
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { FileRange } from "../files/file_range.ts";
import { UserError } from "../options/user_error.ts";
import {
  type Piece,
  type Place,
  type ReaderOptions,
  START,
  textOf,
  unreadable,
} from "./documents.ts";
import { arrayElements, concat, isJsonSpace } from "./json_array.ts";

const CHUNK_BYTES = 1 << 18;

/** A parsed record of a file. */
export interface DataRecord {
  readonly value: unknown;
  /** For messages: "corpus.jsonl:17". */
  readonly where: string;
  readonly place: Place;
  /** Whether it is a row of a table, whose nested fields are the same in all rows. */
  readonly fromTable?: boolean;
}

/** Reads the records of a file from a position. */
export type RecordReader = (path: string, from?: Place) => AsyncIterable<DataRecord>;

/** Records of a file; JSON Lines can be read from any line whose offset is known. */
export function jsonRecords(path: string, from: Place = START): AsyncGenerator<DataRecord> {
  return records(path, chunksOf(path, from.offset), from, from);
}

/** Records of a gzipped file, which must be decompressed, but not parsed, from the start. */
export async function* jsonGzRecords(
  path: string,
  from: Place = START,
): AsyncGenerator<DataRecord> {
  for await (const record of records(path, unpacked(path), START, from)) {
    yield { ...record, place: { offset: 0, record: record.place.record } };
  }
}

/** The texts of {@link jsonRecords} as documents. */
export async function* readJsonl(
  path: string,
  from: Place,
  options: ReaderOptions,
): AsyncGenerator<Piece> {
  yield* documents(jsonRecords(path, from), options);
}

export async function* readJsonlGz(
  path: string,
  from: Place,
  options: ReaderOptions,
): AsyncGenerator<Piece> {
  yield* documents(jsonGzRecords(path, from), options);
}

async function* documents(
  records: AsyncIterable<DataRecord>,
  { textField }: ReaderOptions,
): AsyncGenerator<Piece> {
  for await (const { value, where, place } of records) {
    yield { text: textOf(value, textField, where), first: true, last: true, where, place };
  }
}

async function* chunksOf(path: string, offset: number): AsyncGenerator<Uint8Array> {
  const file = await FileRange.open(path);
  try {
    for (; offset < file.size; offset += CHUNK_BYTES) {
      yield await file.read(offset, offset + CHUNK_BYTES);
    }
  } finally {
    file.close();
  }
}

/** Node's zlib and not DecompressionStream: a gzip file may have several members, one after another. */
async function* unpacked(path: string): AsyncGenerator<Uint8Array> {
  const input = createReadStream(path), output = createGunzip();
  input.on("error", (error) => output.destroy(error));
  try {
    for await (const chunk of input.pipe(output)) yield chunk;
  } finally {
    input.destroy();
  }
}

/** Parses `chunks`, which start at `from`; records before `skipTo` are only counted. */
async function* records(
  path: string,
  chunks: AsyncGenerator<Uint8Array>,
  from: Place,
  skipTo: Place,
): AsyncGenerator<DataRecord> {
  let where = `${path}:${from.record + 1}`;
  try {
    const opened = await peek(chunks);
    // Only lines have positions with an offset.
    const isArray = from.offset === 0 && opened.first === OPEN_ARRAY;
    const found = isArray
      ? elements(path, opened.chunks, skipTo)
      : lines(path, opened.chunks, from, skipTo);
    for await (const record of found) {
      if ("value" in record) yield record;
      where = record.where;
    }
  } catch (error) {
    throw unreadable(where, error);
  } finally {
    await chunks.return(undefined);
  }
}

export const OPEN_ARRAY = 0x5b;

/** The first byte other than white space distinguishes lines from an array. */
export async function peek(source: AsyncGenerator<Uint8Array>) {
  const held: Uint8Array[] = [];
  let first: number | undefined;
  while (first === undefined) {
    const { done, value } = await source.next();
    if (done) break;
    held.push(value);
    first = value.find((byte) => !isJsonSpace(byte));
  }
  const chunks = async function* () {
    yield* held;
    yield* source;
  };
  return { first, chunks: chunks() };
}

type Read = DataRecord | { where: string };

async function* lines(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  from: Place,
  skipTo: Place,
): AsyncGenerator<Read> {
  let { offset, record } = from;
  for await (const { bytes, terminated } of linesOf(chunks)) {
    const place = { offset, record }, where = `${path}:${record + 1}`;
    if (record >= skipTo.record) {
      const line = decode(bytes, where);
      if (line.trim() !== "") {
        yield { value: parse(line, where, lineHint(line, terminated)), where, place };
      }
    }
    offset += bytes.length + 1;
    record++;
    yield { where: `${path}:${record + 1}` };
  }
}

/** Elements have no offsets to seek to: line numbers could not be counted from there. */
async function* elements(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  skipTo: Place,
): AsyncGenerator<Read> {
  let record = 0;
  for await (const { bytes, line } of arrayElements(path, chunks)) {
    const where = `${path}:${line}`, place = { offset: 0, record };
    if (record >= skipTo.record) {
      yield { value: parse(decode(bytes, where), where), where, place };
    } else yield { where };
    record++;
  }
}

/** Splits at newlines; the last line may lack one. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>) {
  let held: Uint8Array[] = [];
  for await (let chunk of chunks) {
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a)) {
      yield { bytes: concat([...held, chunk.subarray(0, end)]), terminated: true };
      held = [];
      chunk = chunk.subarray(end + 1);
    }
    if (chunk.length) held.push(chunk);
  }
  if (held.length) yield { bytes: concat(held), terminated: false };
}

function decode(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UserError(`${where}: is not UTF-8 text`);
  }
}

function parse(json: string, where: string, hint?: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new UserError(`${where}: is not valid JSON: ${(error as Error).message}`, hint);
  }
}

function lineHint(line: string, terminated: boolean): string | undefined {
  if (!terminated) return "this is the last line and it does not end: is the file truncated?";
  if (line.trim() !== "{") return undefined;
  return "a file is an array of records, or one record per line (JSON Lines)";
}

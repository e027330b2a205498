/**
 * JSON records: one per line (JSON Lines), the elements of one array, objects laid out over several
 * lines, or the one list of an object such as `{"data": [...]}`.
 */
import { isObject } from "../files/fields.ts";
import { parseJson } from "../files/json_value.ts";
import { UserError } from "../options/user_error.ts";
import type { ByteSource } from "./byte_source.ts";
import {
  cutRange,
  type Parts,
  type Piece,
  type Place,
  type ReaderOptions,
  START,
  textOf,
  unreadable,
} from "./documents.ts";
import { arrayElements, concat, isJsonSpace } from "./json_array.ts";
import { jsonValues } from "./json_values.ts";
import { decodeUtf8, NotUtf8 } from "./utf8.ts";

/** A parsed record of a file. */
export interface DataRecord {
  readonly value: unknown;
  /** For messages: "corpus.jsonl:17". */
  readonly where: string;
  readonly place: Place;
  /** Whether it is a row of a table, whose nested fields are the same in all rows. */
  readonly fromTable?: boolean;
}

/** Bounds for data that may be anything. By default a fault ends the reading. */
export interface RecordOptions {
  /** Is given the fault of a record that cannot be parsed, and the next one is read. */
  readonly onInvalid?: (error: UserError) => Promise<void>;
  /** Longer records end the reading, and those that do not end. */
  readonly maxBytes?: number;
}

/** Parses the text of a record. */
export type ParseJson = (text: string) => unknown;

/**
 * Records from a position, numbers as {@link parseJson} reads them. JSON Lines can be read from any
 * line whose offset is known.
 */
export function jsonRecords(
  source: ByteSource,
  from: Place = START,
  options: RecordOptions = {},
): AsyncGenerator<DataRecord> {
  return records(source, from, parseJson, options);
}

/** The texts of the records as documents. */
export async function* readJsonl(
  source: ByteSource,
  from: Place,
  { textField }: ReaderOptions,
): AsyncGenerator<Piece> {
  for await (const { value, where, place } of records(source, from, JSON.parse)) {
    yield { text: textOf(value, textField, where), first: true, last: true, where, place };
  }
}

/** Whether records are lines, so that they can be found from any offset. */
export async function areLines(source: ByteSource): Promise<boolean> {
  if (source.itemAt) return source.size !== undefined;
  const chunks = source.chunks();
  try {
    const opened = await peek(chunks);
    if (source.size === undefined || opened.first !== OPEN_OBJECT) return false;
    const { line } = await firstLine(opened.chunks);
    return parses(line) && listIn(JSON.parse(decoder.decode(line))) === undefined;
  } finally {
    await chunks.return(undefined);
  }
}

const decoder = new TextDecoder();

/** The texts of the lines that begin in each of the parts of `partBytes`. */
export function jsonlParts(source: ByteSource, partBytes: number): Parts {
  const { path, size, itemAt = ({ offset }) => `${path} at byte ${offset}` } = source;
  const { count, at } = cutRange([0, size!], partBytes);
  return {
    count,
    async *read(part, { textField }) {
      const [start, end] = at(part);
      // From the byte before: a line begins at `start` if that is a newline.
      let offset = Math.max(0, start - 1), record = 0;
      for await (const { bytes } of linesOf(source.chunks(offset, partBytes))) {
        if (offset >= end) break;
        const where = itemAt({ offset }), place = { offset, record };
        if (offset >= start && !bytes.every(isJsonSpace)) {
          const value = parsed(decode(bytes, where, offset), { parse: JSON.parse }, where);
          yield { text: textOf(value, textField, where), first: true, last: true, where, place };
          record++;
        }
        offset += bytes.length + 1;
      }
    },
  };
}

/** Records before `from` are only counted where its offset is 0, as in an array. */
async function* records(
  source: ByteSource,
  from: Place,
  parse: ParseJson,
  { onInvalid, maxBytes = Infinity }: RecordOptions = {},
): AsyncGenerator<DataRecord> {
  const { path, itemAt } = source, start = from.offset > 0 ? from : START;
  const name = itemAt ?? (({ record }) => `${path}:${record! + 1}`);
  let where = name(start), held = 0;
  const reading: Reading = {
    path,
    name,
    parse,
    skipTo: from.record,
    at: (place) => [where, held] = [place, 0],
    limit(bytes) {
      if (bytes > maxBytes) throw tooLong(where, maxBytes);
    },
    onInvalid,
  };
  const chunks = source.chunks(start.offset);
  const counted = async function* () {
    for await (const chunk of chunks) {
      reading.limit(held);
      held += chunk.length;
      yield chunk;
    }
  };
  try {
    // Only lines have positions with an offset.
    const found = itemAt || start.offset > 0
      ? lines(counted(), reading, start)
      : unwrapped(await layoutOf(counted(), reading), reading);
    for await (const record of found) {
      if (record.place.record >= from.record) yield record;
    }
  } catch (error) {
    throw unreadable(where, error);
  } finally {
    await chunks.return(undefined);
  }
}

interface Reading {
  readonly path: string;
  /** How messages name a line. */
  readonly name: NonNullable<ByteSource["itemAt"]>;
  readonly parse: ParseJson;
  /** Records before this one need not be parsed. */
  readonly skipTo: number;
  /** Notes what is being read, for errors. */
  at(where: string): void;
  /** Throws if so many bytes are too many for a record. */
  limit(bytes: number): void;
  readonly onInvalid?: (error: UserError) => Promise<void>;
}

function tooLong(where: string, maxBytes: number): UserError {
  return new UserError(
    `${where}: a record may have at most ${maxBytes / 2 ** 20} MiB`,
    "does the file have one record per line? (long texts for pre-training can be .txt files)",
  );
}

const OPEN_ARRAY = 0x5b, OPEN_OBJECT = 0x7b;

/** The first byte, and then the first line, tell how the records are laid out. */
async function layoutOf(
  chunks: AsyncGenerator<Uint8Array>,
  reading: Reading,
): Promise<AsyncGenerator<DataRecord>> {
  const opened = await peek(chunks);
  if (opened.first === OPEN_ARRAY) {
    return elements(arrayElements(reading.path, opened.chunks), reading);
  }
  const { line, ended, chunks: all } = await firstLine(opened.chunks);
  if (opened.first !== OPEN_OBJECT || ended || parses(line)) return lines(all, reading, START);
  return elements(jsonValues(reading.path, all), reading);
}

/** The first byte other than white space distinguishes lines from an array. */
async function peek(source: AsyncGenerator<Uint8Array>) {
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

/** The first line that is not blank, and whether the file ends with it. */
async function firstLine(source: AsyncGenerator<Uint8Array>) {
  const held: Uint8Array[] = [];
  let line: Uint8Array = new Uint8Array(), ended = true;
  // Not a loop over the source, which would close it.
  const recorded = async function* () {
    for (let read = await source.next(); !read.done; read = await source.next()) {
      held.push(read.value);
      yield read.value;
    }
  };
  for await (const { bytes, terminated } of linesOf(recorded())) {
    if (bytes.every(isJsonSpace)) continue;
    [line, ended] = [bytes, !terminated];
    break;
  }
  const chunks = async function* () {
    yield* held;
    yield* source;
  };
  return { line, ended, chunks: chunks() };
}

function parses(line: Uint8Array): boolean {
  try {
    JSON.parse(decoder.decode(line));
    return true;
  } catch {
    return false;
  }
}

async function* lines(
  chunks: AsyncIterable<Uint8Array>,
  reading: Reading,
  from: Place,
): AsyncGenerator<DataRecord> {
  let { offset, record } = from;
  for await (const { bytes, terminated } of linesOf(chunks)) {
    const place = { offset, record }, where = reading.name(place);
    reading.at(where);
    // The first one shows whether it holds all.
    reading.limit(bytes.length);
    if (record >= reading.skipTo || record === 0) {
      const value = await valueOf(reading, () => {
        const line = decode(bytes, where, offset);
        return line.trim() === "" ? undefined : parsed(line, reading, where, lineHint(terminated));
      });
      if (value !== undefined) yield { value, where, place };
    }
    offset += bytes.length + 1;
    record++;
    reading.at(reading.name({ offset, record }));
  }
}

/** Elements have no offsets to seek to: line numbers could not be counted from there. */
async function* elements(
  found: AsyncIterable<{ readonly bytes: Uint8Array; readonly line: number }>,
  reading: Reading,
): AsyncGenerator<DataRecord> {
  let record = 0;
  for await (const { bytes, line } of found) {
    const where = `${reading.path}:${line}`, place = { offset: 0, record };
    reading.at(where);
    reading.limit(bytes.length);
    if (record >= reading.skipTo || record === 0) {
      const value = await valueOf(reading, () => parsed(decode(bytes, where), reading, where));
      if (value !== undefined) yield { value, where, place };
    }
    record++;
  }
}

/** Undefined if there is none, or an invalid one. */
async function valueOf({ onInvalid }: Reading, read: () => unknown): Promise<unknown> {
  try {
    return read();
  } catch (error) {
    if (!onInvalid || !(error instanceof UserError)) throw error;
    await onInvalid(error);
  }
}

/** Names that data sets give to the one list of their records. */
const LISTS = ["data", "train", "examples", "instances", "records", "rows", "items", "samples"];

/** Of a file with a single object, the records are its list of objects, if it has one. */
async function* unwrapped(
  found: AsyncGenerator<DataRecord>,
  { path }: Reading,
): AsyncGenerator<DataRecord> {
  const first = await found.next();
  if (first.done) return;
  const second = await found.next();
  const name = second.done ? listIn(first.value.value) : undefined;
  if (name !== undefined) {
    const list = (first.value.value as Record<string, unknown[]>)[name];
    for (const [record, value] of list.entries()) {
      yield { value, where: `${path}: ${name}[${record}]`, place: { offset: 0, record } };
    }
    return;
  }
  yield first.value;
  if (second.done) return;
  yield second.value;
  yield* found;
}

function listIn(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const lists = LISTS.filter((name) => {
    const list = value[name];
    return Array.isArray(list) && list.length > 0 && list.every(isObject);
  });
  return lists.length === 1 ? lists[0] : undefined;
}

/** Splits at newlines; the last line may lack one. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>) {
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

function decode(bytes: Uint8Array, where: string, offset?: number): string {
  try {
    return decodeUtf8(bytes).replace(/^\ufeff/, "");
  } catch (error) {
    if (!(error instanceof NotUtf8)) throw error;
    throw error.in(where, offset);
  }
}

function parsed(
  json: string,
  { parse }: Pick<Reading, "parse">,
  where: string,
  hint?: string,
): unknown {
  try {
    return parse(json);
  } catch (error) {
    // Python's json writes what JSON has no notation for.
    const isPythons = /[[:,]\s*(?:NaN|-?Infinity)\s*[\],}]/.test(json);
    throw new UserError(
      `${where}: is not valid JSON: ${(error as Error).message}`,
      isPythons ? "NaN and Infinity are no JSON: null stands for a missing value" : hint,
    );
  }
}

function lineHint(terminated: boolean): string | undefined {
  if (terminated) return undefined;
  return "this is the last line and it does not end: is the file truncated?";
}

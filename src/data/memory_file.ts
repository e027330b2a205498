/** Opens data of a program as a file is opened. */
import { UserError } from "../options/user_error.ts";
import {
  type DataItems,
  type DataSpec,
  isBytes,
  type MemorySource,
  type TableSpec,
} from "./data.ts";
import { unreadable } from "./documents.ts";
import { dataEnding, jsonFile, type OpenedFile, openFile } from "./formats.ts";
import { linesOfArray, linesOfCalls, linesOfItems, type MemoryLines } from "./memory_lines.ts";
import { temporaryFile } from "./temporary_file.ts";

/** Data in memory as a file. */
export interface MemoryFile extends OpenedFile {
  /** Bytes, as lines of JSON; 0 if they are made anew at each pass. */
  readonly size: number;
  /** A hash, where the content was read. */
  readonly content?: number;
  /** Made anew at each pass, and possibly endless. */
  readonly isStreamed: boolean;
}

/** By the value: what can be read only once is read once, however often it is opened. */
const opened = new WeakMap<object, Promise<MemoryFile>>();

/** Called with the number of items, or of chunks, that have been read so far. */
export type OnRead = (count: number) => void;

/** Reads to its end what can be read only once. Throws a {@link UserError} if it has nothing. */
export function openMemory(given: MemorySource, onRead?: OnRead): Promise<MemoryFile> {
  const { value, label } = given;
  // An array may have changed since, as between two runs.
  if (Array.isArray(value)) return open(given);
  const known = opened.get(value);
  if (known) return known;
  const file = open({ value, label }, onRead);
  opened.set(value, file);
  return file;
}

/** Reads now what of the data can be read only once, which {@link openMemory} then has. */
export async function readOnce(
  sources: readonly (DataSpec | TableSpec)[],
  onRead: OnRead,
): Promise<void> {
  for (const source of sources) {
    const spec = typeof source !== "string" && "rows" in source ? source.rows : source;
    if (typeof spec === "string" || Array.isArray(spec.value)) continue;
    if (typeof spec.value !== "function") await openMemory(spec, onRead);
  }
}

async function open(
  { label, value }: MemorySource,
  onRead: OnRead = () => {},
): Promise<MemoryFile> {
  if (Array.isArray(value)) return fileOf(linesOfArray(label, value));
  if (typeof value === "function") {
    return fileOf(linesOfCalls(label, async function* () {
      const items = await value();
      assertItems(label, items);
      yield* items;
    }));
  }
  if (isBytes(value)) {
    const bytes = readable(label, bytesOf(label, value), onRead);
    return await openBytes(label, bytes, nameOf(value));
  }
  const { first, items } = await peeked(label, value as DataItems);
  if (typeof first === "string" && value instanceof ReadableStream) {
    throw new UserError(
      `${label}: is a stream of strings, whose pieces need not be whole texts or records`,
      "give the stream of bytes, as without TextDecoderStream, or the items as an iterator",
    );
  }
  if (first instanceof Uint8Array) {
    return await openBytes(label, readable(label, items as AsyncIterable<Uint8Array>, onRead));
  }
  return fileOf(await linesOfItems(label, items, onRead));
}

function fileOf({ source, content }: MemoryLines): MemoryFile {
  const { size } = source;
  return { ...jsonFile(source), size: size ?? 0, content, isStreamed: size === undefined };
}

/** A file of any format. */
async function openBytes(
  label: string,
  bytes: AsyncIterable<Uint8Array>,
  name?: string,
): Promise<MemoryFile> {
  const path = await temporaryFile(bytes);
  const { size } = await Deno.stat(path);
  if (size === 0) throw new UserError(`${label}: is empty`);
  return { ...await openFile({ path, label, name }), size, isStreamed: false };
}

async function* readable(label: string, bytes: AsyncIterable<Uint8Array>, onRead: OnRead) {
  let count = 0;
  const failed = (error: unknown) => {
    throw unreadable(label, error);
  };
  const chunks = bytes[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await chunks.next().catch(failed);
      if (done) return;
      if (!(value instanceof Uint8Array)) {
        throw new UserError(`${label}: has bytes at first, and then other values`);
      }
      onRead(++count);
      yield value;
    }
  } finally {
    await chunks.return?.();
  }
}

function bytesOf(label: string, value: Response | Blob): ReadableStream<Uint8Array> {
  if (value instanceof Blob) return value.stream();
  if (!value.ok) {
    throw new UserError(
      `${label}: ${value.url || "the response"} is ${value.status} ` +
        `${value.statusText}`.trimEnd(),
    );
  }
  if (value.bodyUsed || !value.body) {
    throw new UserError(
      `${label}: the response ${value.bodyUsed ? "has already been read" : "has no body"}`,
      "give the response itself, before its text or json is read",
    );
  }
  return value.body;
}

/** The name that tells the format, if there is one. */
function nameOf(value: Response | Blob): string | undefined {
  const name = value instanceof File
    ? value.name
    : value instanceof Response
    ? value.url.replace(/[?#].*$/, "")
    : "";
  return dataEnding(name) ? name : undefined;
}

function assertItems(label: string, items: unknown): asserts items is DataItems {
  const isThere = typeof items === "object" && items !== null;
  if (isThere && (Symbol.iterator in items || Symbol.asyncIterator in items)) return;
  throw new UserError(
    `${label}: the function must return items, got ${isThere ? "an object" : String(items)}`,
    "a generator function, or one that returns an array or another iterable",
  );
}

/** The first item, which tells bytes from items, and all of them. */
async function peeked(label: string, given: DataItems) {
  const iterator = Symbol.asyncIterator in given
    ? given[Symbol.asyncIterator]()
    : given[Symbol.iterator]();
  let read: IteratorResult<unknown>;
  try {
    read = await iterator.next();
  } catch (error) {
    throw unreadable(`${label}[0]`, error);
  }
  if (read.done) {
    throw new UserError(
      `${label}: has no item`,
      "an iterator can be read only once: was it read before?",
    );
  }
  const first = read.value;
  const items = async function* () {
    try {
      for (; !read.done; read = await iterator.next()) yield read.value;
    } finally {
      if (!read.done) await iterator.return?.();
    }
  };
  return { first, items: items() };
}

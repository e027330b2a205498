/** What a run's data may be: paths, or what a program already has. */
import { isObject } from "../files/fields.ts";
import { UserError } from "../options/user_error.ts";

/**
 * A text, or a record: an object with the fields that a record of a file would have. Values are
 * taken as JSON has them: a Date is its text, a field that is undefined does not exist.
 */
export type DataItem = string | object;

/** Items in order. */
export type DataItems = Iterable<DataItem> | AsyncIterable<DataItem>;

/** The content of a data file of any format, such as what `fetch` returns. */
export type DataBytes =
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Response
  | Blob;

/** Rows whose fields have other names than those of a known format. */
export interface DataTable {
  /** A path, or the rows. */
  readonly rows: DataSource;
  /** The field of each part, as in LLaMA-Factory's dataset_info.json: `{ prompt: "question" }`. */
  readonly columns: Readonly<Record<string, string>>;
  /** `alpaca` by default, or `sharegpt` where a column holds messages. */
  readonly formatting?: "alpaca" | "sharegpt" | "openai";
  /** Names in a message, as in dataset_info.json. */
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * One source of data.
 *
 * - A string is the path of a file or folder, a pattern, or `hf:…`.
 * - An array of items is used where it is, and must not change during the run.
 * - What can be read only once (an iterator, a database's cursor, a response, a stream) is read to
 *   its end before training, and kept in a temporary file, so that it may be larger than memory.
 * - A function that returns items is called anew whenever they are needed. In pre-training nothing
 *   is kept: they are read as they come, endless ones too, in their order but for the shuffle
 *   buffer, and nothing can be held out of them. It must return the same items at each call, or a
 *   resumed run goes on with others.
 * - A {@link DataTable} says what the fields of its rows are.
 */
export type DataSource =
  | string
  | DataItems
  | DataBytes
  | (() => DataItems | Promise<DataItems>)
  | DataTable;

/**
 * One source or a list of them. In a list of strings each is a path: an array of texts is written
 * `[texts]`, a list of one source, or as records, `[{ text: "…" }]`.
 */
export type Data = DataSource | readonly DataSource[];

/** A source that is no path, and what messages call it: `data`, or `data[2]` in a list. */
export interface MemorySource {
  /** As messages name it. */
  readonly label: string;
  /** Where the items, or the bytes, come from. */
  readonly value: Exclude<DataSource, string | DataTable>;
}

/** A path, rows with their columns, or data in memory. */
export type DataSpec = string | MemorySource;

/** A table with its rows as a {@link DataSpec}. */
export interface TableSpec extends Omit<DataTable, "rows"> {
  readonly label: string;
  readonly rows: DataSpec;
}

/** The sources of data, with the option's name as their label. Throws if it is none. */
export function dataSources(data: Data, label = "data"): (DataSpec | TableSpec)[] {
  const fault = dataFault(data);
  if (fault) throw new UserError(`${label}: ${fault}`);
  if (!isList(data)) return [sourceOf(data as DataSource, label)];
  return data.map((each, index) => sourceOf(each, `${label}[${index}]`));
}

/** {@link dataSources} where fields have the names that options give them. */
export function dataSpecs(data: Data, label = "data"): DataSpec[] {
  return dataSources(data, label).map((source) => {
    if (typeof source === "string" || !("rows" in source)) return source;
    throw new UserError(
      `${source.label}: columns are for examples to fine-tune on`,
      "textField names the field that holds the text",
    );
  });
}

function sourceOf(source: DataSource, label: string): DataSpec | TableSpec {
  if (typeof source === "string") return source;
  if (!isTable(source)) return { label, value: source } as MemorySource;
  const rows = sourceOf(source.rows, label);
  if (typeof rows !== "string" && "rows" in rows) {
    throw new UserError(`${label}.rows: must be rows, got a table of its own`);
  }
  return { ...source, label, rows };
}

/** Why a value is no data; undefined if it is. Reads nothing that could be read only once. */
export function dataFault(value: unknown): string | undefined {
  if (!Array.isArray(value)) {
    return isSource(value) ? undefined : `must be paths, or data in memory, got ${kindOf(value)}`;
  }
  const items: readonly unknown[] = value;
  if (items.length === 0) return "must not be empty";
  if (!isList(items) && items.some((each) => typeof each === "string")) {
    const other = items.findIndex((each) => typeof each !== "string" && !isSource(each));
    return `mixes strings, which are paths in a list, and records, from [${other}] on; ` +
      "give records in a list of their own: [path, records]";
  }
  return undefined;
}

/** Whether an array lists sources, and not items. */
function isList(value: unknown): value is readonly DataSource[] {
  return Array.isArray(value) && value.every(isSource);
}

function isSource(value: unknown): value is DataSource {
  return typeof value === "string" || typeof value === "function" || isTable(value) ||
    isBytes(value) || isIterable(value);
}

/** What has bytes as a whole, and not item by item. */
export function isBytes(value: unknown): value is Response | Blob {
  return value instanceof Response || value instanceof Blob;
}

function isIterable(value: unknown): boolean {
  if (ArrayBuffer.isView(value)) return false;
  return isObject(value) || Array.isArray(value)
    ? Symbol.iterator in (value as object) || Symbol.asyncIterator in (value as object)
    : false;
}

function isTable(value: unknown): value is DataTable {
  return isObject(value) && isObject(value.columns) && isSource(value.rows);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (value instanceof Promise) return "a Promise: await it first";
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    return "bytes: what a file holds is written new Blob([bytes])";
  }
  if (value instanceof URL) return "a URL: give a file's path, or what fetch returns";
  if (isObject(value)) return "an object: a single record is written [record]";
  return `a ${typeof value}`;
}

/** How documents name data: paths as they are. */
export function dataNames(data: Data | undefined): string[] {
  if (data === undefined) return [];
  return dataSources(data).map((source) => {
    if (typeof source === "string") return source;
    const rows = "rows" in source ? source.rows : source;
    return typeof rows === "string" ? rows : inMemory(rows);
  });
}

function inMemory({ value }: MemorySource): string {
  if (Array.isArray(value)) return `${value.length} records of a program`;
  if (value instanceof Response && value.url) return value.url;
  return "data of a program";
}

/** Formats of data files, by name or else by content, and the readers of each. */
import { FileRange } from "../files/file_range.ts";
import { isLfsPointer, lfsPointerError } from "../files/lfs_pointer.ts";
import { standIn } from "../files/stand_in.ts";
import { UserError } from "../options/user_error.ts";
import { arrowRecords, readArrow } from "./arrow_reader.ts";
import { type ByteSource, fromUtf16, plainBytes, unpackedBytes, utf16Of } from "./byte_source.ts";
import { compressionOf, COMPRESSIONS } from "./compression.ts";
import { csvRecords, readCsv, type Separator } from "./csv_reader.ts";
import { type Parts, type Place, type Reader, unreadable } from "./documents.ts";
import {
  areLines,
  type DataRecord,
  jsonlParts,
  jsonRecords,
  readJsonl,
  type RecordOptions,
} from "./jsonl_reader.ts";
import { parquetParts, parquetRecords, readParquet } from "./parquet_reader.ts";
import { readText } from "./text_reader.ts";

/** Reads the records of a file from a position. The options are for JSON. */
export type RecordReader = (from?: Place, options?: RecordOptions) => AsyncIterable<DataRecord>;

/** How a file is read. */
export interface OpenedFile {
  /** Its documents. */
  readonly read: Reader;
  /** Its raw records; a text file has none. */
  readonly records?: RecordReader;
  /** Of a text file, its bytes. */
  readonly text?: ByteSource;
  /** The ending of what a text file looks like, if that is no text. */
  readonly looksLike?: string;
  /** Parts of about so many bytes; undefined where the file can only be read from its start. */
  readonly parts?: (partBytes: number) => Promise<Parts | undefined>;
}

type Format = "text" | "json" | "csv" | "tsv" | "parquet" | "arrow";

const FORMATS: Readonly<Record<string, Format>> = {
  ".txt": "text",
  ".md": "text",
  ".jsonl": "json",
  ".ndjson": "json",
  ".json": "json",
  ".csv": "csv",
  ".tsv": "tsv",
  ".parquet": "parquet",
  ".arrow": "arrow",
  ".feather": "arrow",
};

/** For messages. */
export const SUPPORTED: string = `supported: ${Object.keys(FORMATS).join(", ")}; text, JSON and ` +
  `tables of text also with ${Object.keys(COMPRESSIONS).join(", ")}`;

/** Whether a file's name ends as that of a data file. */
export function hasDataName(name: string): boolean {
  return formatNamed(name) !== undefined;
}

/** The endings of files with these formats, or all but those, without compression. */
export function endingsOf({ texts }: { readonly texts: boolean }): string[] {
  return Object.keys(FORMATS).filter((ending) => texts || FORMATS[ending] !== "text");
}

/** How the name of a data file ends, in lower case: ".jsonl", ".csv.gz". */
export function dataEnding(name: string): string | undefined {
  const lower = name.toLowerCase();
  const packed = Object.keys(COMPRESSIONS).find((ending) => lower.endsWith(ending)) ?? "";
  const plain = lower.slice(0, lower.length - packed.length);
  const ending = Object.keys(FORMATS).find((ending) => plain.endsWith(ending));
  return ending === undefined ? undefined : ending + packed;
}

function formatNamed(name: string): Format | undefined {
  const ending = dataEnding(name);
  return ending === undefined ? undefined : FORMATS[/^\.[^.]*/.exec(ending)![0]];
}

const HEAD_BYTES = 1 << 12;

/** What can be read, and what messages call it. */
export interface FileToOpen {
  readonly path: string;
  /** By default the path. */
  readonly label?: string;
  /** The name that determines the format, by default the path. */
  readonly name?: string;
}

/**
 * Chooses the reader of a file. Compression, UTF-16 and, where the name does not say, the
 * format are recognised by the first bytes. Throws a {@link UserError} if it cannot be data.
 */
export async function openFile(
  { path, label = path, name = path }: FileToOpen,
): Promise<OpenedFile> {
  const named = formatNamed(name);
  const { source, head, packed } = await openBytes({ path, label, name });
  const other = named && named !== "text" ? standIn(label, head) : undefined;
  if (other) throw other;
  const format = named ?? formatOf(await firstChunk(source), source.path);
  if (format === "parquet" || format === "arrow") {
    if (!packed) return tableOf(format, path, label);
    throw new UserError(
      `${label}: a compressed ${format === "parquet" ? "Parquet" : "Arrow"} file cannot be read`,
      "decompress it: its columns are compressed on their own",
    );
  }
  switch (format) {
    case "text": {
      const read: Reader = (from, options) => readText(source, from, options);
      return { text: source, read, looksLike: jsonEnding(textIn(await firstChunk(source))) };
    }
    case "json":
      return jsonFile(source);
    case "csv":
    case "tsv": {
      const separator: Separator = format === "csv" ? "," : "\t";
      return {
        read: (from, options) => readCsv(source, separator, from, options),
        records: (from) => csvRecords(source, separator, from),
      };
    }
  }
}

/** Records of JSON. */
export function jsonFile(source: ByteSource): OpenedFile {
  return {
    read: (from, options) => readJsonl(source, from, options),
    records: (from, options) => jsonRecords(source, from, options),
    parts: async (bytes) => await areLines(source) ? jsonlParts(source, bytes) : undefined,
  };
}

function tableOf(format: "parquet" | "arrow", path: string, label: string): OpenedFile {
  const file = { path, label };
  return format === "parquet"
    ? {
      read: (from, options) => readParquet(file, from, options),
      records: (from) => parquetRecords(file, from),
      parts: () => parquetParts(file),
    }
    : {
      read: (from, options) => readArrow(file, from, options),
      records: (from) => arrowRecords(file, from),
    };
}

/** The bytes of a text-like file: decompressed, in UTF-8. */
export async function openBytes({ path, label = path, name = path }: FileToOpen) {
  const { head, size } = await headOf(path, label);
  if (isLfsPointer(head)) throw lfsPointerError(label);
  const ending = Object.keys(COMPRESSIONS).find((ending) => name.toLowerCase().endsWith(ending));
  const compression = ending === undefined ? compressionOf(head) : COMPRESSIONS[ending];
  const packed = compression !== undefined;
  const bytes = packed ? unpackedBytes(path, compression, label) : plainBytes(path, size, label);
  const utf16 = utf16Of(packed ? await firstChunk(bytes).catch(() => NONE) : head);
  return { source: utf16 ? fromUtf16(bytes, utf16) : bytes, head, packed };
}

async function headOf(path: string, label: string) {
  const file = await FileRange.open(path).catch((error) => {
    throw unreadable(`data ${label}`, error);
  });
  try {
    return { head: await file.read(0, HEAD_BYTES), size: file.size };
  } finally {
    file.close();
  }
}

async function firstChunk(source: ByteSource): Promise<Uint8Array> {
  for await (const chunk of source.chunks()) if (chunk.length > 0) return chunk;
  return NONE;
}

const NONE = new Uint8Array();

/** The format of a file by its first bytes, whatever its name. */
export interface JudgedContent {
  /** The ending that its name should have; `.txt` of any text that is not JSON. */
  readonly ending: string;
  /** Its first characters, unless it is binary. */
  readonly text?: string;
}

/** Throws a {@link UserError} for bytes that are neither text nor a known format. */
export async function judgeContent(
  { path, label = path }: Omit<FileToOpen, "name">,
): Promise<JudgedContent> {
  const { source, head } = await openBytes({ path, label, name: "" });
  const compression = compressionOf(head);
  const packed = Object.keys(COMPRESSIONS).find((each) => COMPRESSIONS[each] === compression) ?? "";
  const first = await firstChunk(source), text = textIn(first);
  const ending = jsonEnding(text) ?? USUAL_ENDING[formatOf(first, label)];
  return { ending: ending + packed, text };
}

const USUAL_ENDING: Readonly<Record<ContentFormat, string>> = {
  text: ".txt",
  json: ".jsonl",
  parquet: ".parquet",
  arrow: ".arrow",
};

/** Formats that are recognised by their first bytes. */
type ContentFormat = Exclude<Format, "csv" | "tsv">;

function formatOf(head: Uint8Array, label: string): ContentFormat {
  const begins = (text: string) => [...text].every((each, at) => head[at] === each.charCodeAt(0));
  if (begins("PAR1")) return "parquet";
  if (begins("ARROW1") || begins("\xff\xff\xff\xff")) return "arrow";
  const text = textIn(head);
  if (text === undefined) {
    throw new UserError(`data ${label}: is neither text nor a known data format`, SUPPORTED);
  }
  return jsonEnding(text) ? "json" : "text";
}

/** The ending of a file of JSON, of which lines have one and an array another. */
function jsonEnding(text = ""): ".json" | ".jsonl" | undefined {
  if (/^\ufeff?\s*\{\s*"/.test(text)) return ".jsonl";
  return /^\ufeff?\s*\[\s*[{"]/.test(text) ? ".json" : undefined;
}

/** The text that bytes begin with; undefined if they are binary. */
function textIn(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return undefined;
  }
}

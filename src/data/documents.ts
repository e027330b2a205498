/** Shared by the readers of file formats: pieces of documents, and positions to resume from. */
import { UserError } from "../options/user_error.ts";
import { option, phrase } from "../options/phrase.ts";
import { JsonNumber } from "../files/json_value.ts";
import { BinaryValue } from "./table_values.ts";
import { quoted } from "../text.ts";

/** A document, or part of one for text files, which may be larger than memory. */
export interface Piece {
  readonly text: string;
  /** Whether the document starts, or ends, with this piece. */
  readonly first: boolean;
  readonly last: boolean;
  /** For messages: "corpus.jsonl:17". */
  readonly where: string;
  /** Reading from here yields this piece again. */
  readonly place: Place;
}

/** A position in a file. */
export interface Place {
  /** Bytes from the start, in formats that support seeking; otherwise 0. */
  readonly offset: number;
  /** Records (lines, rows) from the start. */
  readonly record: number;
}

export const START: Place = { offset: 0, record: 0 };

/** Reads a file from a position. */
export type Reader = (from: Place, options: ReaderOptions) => AsyncIterable<Piece>;

export interface ReaderOptions {
  /** The field of a record that holds the text. */
  readonly textField: string;
  /** Text files only: the range of bytes to read, by default the whole file. */
  readonly range?: readonly [start: number, end: number];
  /** Text files only: the largest piece, in bytes; by default {@link PIECE_BYTES}. */
  readonly pieceBytes?: number;
}

/** A file in parts that can be read in any order. Together they have its documents once each. */
export interface Parts {
  readonly count: number;
  read(part: number, options: ReaderOptions): AsyncIterable<Piece>;
}

/** The byte ranges of `size` bytes each, but the last, that a range is cut into. */
export function cutRange(
  [start, end]: readonly [start: number, end: number],
  size: number,
): { readonly count: number; at(part: number): readonly [start: number, end: number] } {
  return {
    count: Math.ceil((end - start) / size),
    at: (part) => [start + part * size, Math.min(end, start + (part + 1) * size)],
  };
}

/** The text of a record; throws a {@link UserError} if the field is missing or not a string. */
export function textOf(record: unknown, field: string, where: string): string {
  if (typeof record !== "object" || record === null || Array.isArray(record)) {
    throw new UserError(`${where}: must be a JSON object, got ${quoted(record)}`);
  }
  const value = (record as Record<string, unknown>)[field];
  if (typeof value === "string") return value;
  if (value === undefined || value === null) {
    throw new UserError(
      `${where}: has no field "${field}"${value === null ? " (it is null)" : ""}`,
      phrase`it has ${Object.keys(record).join(", ") || "no fields"}; see
        ${option("textField")}`,
    );
  }
  throw new UserError(`${where}: field "${field}" must be a string, got ${kindOf(value)}`);
}

function kindOf(value: unknown): string {
  if (value instanceof BinaryValue) return "binary data";
  if (value instanceof JsonNumber || typeof value === "bigint") return "number";
  return Array.isArray(value) ? "a list" : typeof value;
}

/** Throws a {@link UserError} if a table lacks the column that holds the text. */
export function assertColumn(columns: readonly string[], name: string, path: string): void {
  if (columns.includes(name)) return;
  throw new UserError(
    `${path}: has no field "${name}"`,
    phrase`it has ${columns.join(", ")}; see ${option("textField")}`,
  );
}

/** Wraps an error of the system or a decoder in one that names the place. */
export function unreadable(where: string, error: unknown): UserError {
  if (error instanceof UserError) return error;
  return new UserError(`${where}: cannot be read: ${(error as Error).message}`);
}

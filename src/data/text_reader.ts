/** Plain text: a file is one document, read in pieces so that it need not fit in memory. */
import { UserError } from "../options/user_error.ts";
import { type ByteSource, readBytes } from "./byte_source.ts";
import {
  cutRange,
  type Parts,
  type Piece,
  type Place,
  type ReaderOptions,
  START,
  unreadable,
} from "./documents.ts";
import { concat } from "./json_array.ts";
import { decodeUtf8, isContinuation, NotUtf8 } from "./utf8.ts";

/** Large enough that seams between pieces do not matter, small enough to shuffle and resume. */
export const PIECE_BYTES = 1 << 16;

/** The text of a source or of a range of its bytes, cut at newlines where possible. */
export async function* readText(
  source: ByteSource,
  from: Place,
  { range, pieceBytes = PIECE_BYTES }: Omit<ReaderOptions, "textField">,
): AsyncGenerator<Piece> {
  const [start, end] = range ?? [0, source.size ?? Infinity];
  let offset = Math.max(start, from.offset), record = from.record;
  if (offset >= end) return;
  let held: Uint8Array = new Uint8Array();
  const chunks = source.chunks(offset);
  try {
    for (let ended = false; !ended || held.length > 0;) {
      // One byte more than a piece, which tells whether it is the last.
      while (!ended && held.length <= pieceBytes) {
        const { done, value } = await chunks.next();
        if (done) ended = true;
        else held = concat([held, value]);
        if (offset + held.length >= end) ended = true;
      }
      const bytes = held.subarray(0, Math.min(pieceBytes, end - offset));
      if (bytes.length === 0) break;
      const last = bytes.length === held.length || offset + bytes.length >= end;
      const length = last ? bytes.length : seam(bytes);
      yield {
        text: await decode(bytes.subarray(0, length), source, offset),
        first: offset === start,
        last,
        where: `${source.path} at byte ${offset}`,
        place: { offset, record },
      };
      held = held.subarray(length);
      offset += length;
      record++;
      if (last) break;
    }
    if (Number.isFinite(end) && offset < end) {
      throw new UserError(`${source.path}: shrank while it was being read`);
    }
  } catch (error) {
    throw unreadable(source.path, error);
  } finally {
    await chunks.return(undefined);
  }
}

/** A range of a text in parts of about `partBytes`, which begin at seams. */
export function textParts(
  source: ByteSource,
  range: readonly [start: number, end: number],
  partBytes: number,
): Parts {
  const { count, at } = cutRange(range, partBytes);
  const boundary = async (offset: number) =>
    range.includes(offset) ? offset : await nextSeam(source, offset, range[1]);
  return {
    count,
    async *read(part, options) {
      const [start, end] = await Promise.all(at(part).map(boundary));
      for await (const piece of readText(source, START, { ...options, range: [start, end] })) {
        const first = piece.first && start === range[0], last = piece.last && end === range[1];
        yield { ...piece, first, last };
      }
    },
  };
}

/** The first place to cut a text from an offset on. */
async function nextSeam(source: ByteSource, offset: number, end: number): Promise<number> {
  const bytes = await readBytes(source, offset, Math.min(end, offset + SEAM_BYTES));
  for (let i = 1; i < bytes.length - 1; i++) if (isSeam(bytes, i, NEWLINE)) return offset + i + 1;
  for (let i = 1; i < bytes.length - 1; i++) if (isSeam(bytes, i, SPACE)) return offset + i;
  let character = 0;
  while (character < bytes.length && isContinuation(bytes[character])) character++;
  return offset + character;
}

/** A line is hardly longer. */
const SEAM_BYTES = 1 << 12;

/**
 * The start of the held-out end of a text, moved to the nearest end of a line, or else of a word or
 * character.
 */
export async function heldOutStart(
  source: ByteSource,
  size: number,
  share: number,
): Promise<number> {
  const start = Math.floor(size * (1 - share));
  const within = Math.min(PIECE_BYTES, Math.floor((size - start) / 4));
  const bytes = await readBytes(source, start, start + Math.max(4, within));
  const window = bytes.subarray(0, within);
  const line = window.indexOf(NEWLINE), word = window.indexOf(SPACE);
  if (line >= 0) return start + line + 1;
  if (word >= 0) return start + word;
  let character = 0;
  while (character < Math.min(4, bytes.length) && isContinuation(bytes[character])) character++;
  return start + character;
}

const NEWLINE = 0x0a, SPACE = 0x20;

function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d);
}

/**
 * Where to cut: after the last isolated newline, because tokenizers join runs of white space into
 * one token but start a new word after a newline. Otherwise before a space, otherwise between two
 * characters.
 */
function seam(bytes: Uint8Array): number {
  for (let i = bytes.length - 2; i > bytes.length / 2; i--) {
    if (isSeam(bytes, i, NEWLINE)) return i + 1;
  }
  for (let i = bytes.length - 2; i > bytes.length / 2; i--) if (isSeam(bytes, i, SPACE)) return i;
  let end = bytes.length - 1;
  while (end > bytes.length - 4 && isContinuation(bytes[end])) end--;
  return end;
}

/** Whether the byte is the white space in question, and isolated. */
function isSeam(bytes: Uint8Array, at: number, space: number): boolean {
  return bytes[at] === space && !isSpace(bytes[at - 1]) && !isSpace(bytes[at + 1]);
}

async function decode(bytes: Uint8Array, source: ByteSource, offset: number): Promise<string> {
  try {
    const text = decodeUtf8(bytes);
    return offset === 0 ? text.replace(/^\ufeff/, "") : text;
  } catch (error) {
    if (!(error instanceof NotUtf8)) throw error;
    throw error.in(`${source.path}:${await lineAt(source, offset + error.at)}`, offset);
  }
}

/** The line, from 1, that the byte at an offset belongs to. */
async function lineAt(source: ByteSource, offset: number): Promise<number> {
  let line = 1, at = 0;
  for await (const chunk of source.chunks()) {
    const part = chunk.subarray(0, offset - at);
    for (let i = part.indexOf(NEWLINE); i >= 0; i = part.indexOf(NEWLINE, i + 1)) line++;
    at += chunk.length;
    if (at >= offset) break;
  }
  return line;
}

/** All of a source's text, in pieces. */
export async function* decodedText(source: ByteSource): AsyncGenerator<string> {
  for await (const { text } of readText(source, START, {})) yield text;
}

/** Plain text: a file is one document, read in pieces so that it need not fit in memory. */
import { FileRange } from "../files/file_range.ts";
import { UserError } from "../options/user_error.ts";
import { type Piece, type Place, type ReaderOptions, unreadable } from "./documents.ts";

/** Large enough that seams between pieces do not matter, small enough to shuffle and resume. */
export const PIECE_BYTES = 1 << 16;

/** The text of a file or of a range of its bytes, cut at newlines where possible. */
export async function* readText(
  path: string,
  from: Place,
  { range }: ReaderOptions,
): AsyncGenerator<Piece> {
  const file = await FileRange.open(path).catch((error) => {
    throw unreadable(path, error);
  });
  try {
    const [start, end] = range ?? [0, file.size];
    let offset = Math.max(start, from.offset), record = from.record;
    while (offset < end) {
      const bytes = await file.read(offset, Math.min(end, offset + PIECE_BYTES));
      if (bytes.length === 0) throw new UserError(`${path}: shrank while it was being read`);
      const last = offset + bytes.length >= end;
      const length = last ? bytes.length : seam(bytes);
      yield {
        text: decode(bytes.subarray(0, length), path, offset),
        first: offset === start,
        last,
        where: `${path} at byte ${offset}`,
        place: { offset, record },
      };
      offset += length;
      record++;
    }
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    file.close();
  }
}

/**
 * The start of the held-out end of a text, moved to the nearest end of a line, or else of a word or
 * character.
 */
export async function heldOutStart(path: string, share: number): Promise<number> {
  const file = await FileRange.open(path).catch((error) => {
    throw unreadable(path, error);
  });
  try {
    const start = Math.floor(file.size * (1 - share));
    const within = Math.min(PIECE_BYTES, Math.floor((file.size - start) / 4));
    const window = await file.read(start, start + within);
    const line = window.indexOf(NEWLINE), word = window.indexOf(SPACE);
    if (line >= 0) return start + line + 1;
    if (word >= 0) return start + word;
    let character = 0;
    const bytes = await file.read(start, start + 4);
    while (character < bytes.length && isContinuation(bytes[character])) character++;
    return start + character;
  } finally {
    file.close();
  }
}

const NEWLINE = 0x0a, SPACE = 0x20;

function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d);
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/**
 * Where to cut: after the last isolated newline, because tokenizers join runs of white space into
 * one token but start a new word after a newline. Otherwise before a space, otherwise between two
 * characters.
 */
function seam(bytes: Uint8Array): number {
  for (let i = bytes.length - 2; i > bytes.length / 2; i--) {
    if (bytes[i] === NEWLINE && !isSpace(bytes[i - 1]) && !isSpace(bytes[i + 1])) return i + 1;
  }
  for (let i = bytes.length - 2; i > bytes.length / 2; i--) {
    if (bytes[i] === SPACE && !isSpace(bytes[i - 1]) && !isSpace(bytes[i + 1])) return i;
  }
  let end = bytes.length - 1;
  while (end > bytes.length - 4 && isContinuation(bytes[end])) end--;
  return end;
}

function decode(bytes: Uint8Array, path: string, offset: number): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return offset === 0 ? text.replace(/^\ufeff/, "") : text;
  } catch {
    throw new UserError(
      `${path}: is not UTF-8 text, between bytes ${offset} and ${offset + bytes.length}`,
      "convert it, for example with iconv -f latin1 -t utf-8",
    );
  }
}

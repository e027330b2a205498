/** Splits a JSON array of records into its elements as it is read, without parsing the whole. */
import { UserError } from "../options/user_error.ts";

export interface ArrayElement {
  /** Its text, with the white space around it. */
  readonly bytes: Uint8Array;
  /** The line it starts on, from 1. */
  readonly line: number;
}

const NEWLINE = 0x0a, QUOTE = 0x22, BACKSLASH = 0x5c, COMMA = 0x2c;
const OPEN_ARRAY = 0x5b, CLOSE_ARRAY = 0x5d, OPEN_OBJECT = 0x7b, CLOSE_OBJECT = 0x7d;

/** JSON white space, and the byte order mark that some editors prepend. */
export function isJsonSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d) ||
    byte === 0xef || byte === 0xbb || byte === 0xbf;
}

/**
 * The elements of the array in `chunks`. Only strings and brackets are tracked; the caller's parser
 * validates each element. Throws a {@link UserError} with the line if the array does not end, or is
 * followed by anything.
 */
export async function* arrayElements(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<ArrayElement> {
  let line = 1, depth = 0, count = 0, begins = 1;
  let inString = false, escaped = false, ended = false, blank = true;
  let held: Uint8Array[] = [];
  for await (const chunk of chunks) {
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte === NEWLINE) line++;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
        continue;
      }
      if (isJsonSpace(byte)) continue;
      if (ended) {
        throw new UserError(
          `${path}:${line}: the JSON array has ended, but more follows`,
          "a file is one array of records, or one record per line (JSON Lines)",
        );
      }
      const closes = byte === CLOSE_ARRAY && depth === 1;
      if ((byte === COMMA && depth === 1) || closes) {
        held.push(chunk.slice(start, i));
        // "[]" has no element; "[1,]" has a second one, which its parser will refuse.
        if (!closes || !blank || count > 0) {
          yield { bytes: concat(held), line: blank ? line : begins };
          count++;
        }
        [held, blank, start] = [[], true, i + 1];
        if (closes) ended = true;
        continue;
      }
      if (depth >= 1 && blank) [blank, begins] = [false, line];
      if (byte === QUOTE) inString = true;
      else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
        if (depth++ === 0) start = i + 1;
      } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth--;
    }
    if (!ended) held.push(chunk.slice(start));
  }
  if (ended) return;
  const within = blank ? `after element ${count}` : `inside the element that begins on ${begins}`;
  throw new UserError(
    `${path}:${line}: the JSON array does not end: the file stops ${within}`,
    "is it truncated?",
  );
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

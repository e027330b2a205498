/** Splits JSON objects that follow one another, however they are laid out in lines. */
import { UserError } from "../options/user_error.ts";
import { type ArrayElement, concat, isJsonSpace } from "./json_array.ts";

const NEWLINE = 0x0a, QUOTE = 0x22, BACKSLASH = 0x5c;
const OPENING = [0x5b, 0x7b], CLOSING = [0x5d, 0x7d];

/**
 * The objects in `chunks`, as `jq` and `JSON.stringify(value, null, 2)` write them. Only strings and
 * brackets are tracked; the caller's parser validates each. Throws a {@link UserError} with the line
 * if the last does not end.
 */
export async function* jsonValues(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<ArrayElement> {
  let line = 1, depth = 0, begins = 0, inString = false, escaped = false;
  let held: Uint8Array[] = [];
  for await (const chunk of chunks) {
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte === NEWLINE) {
        if (inString) {
          throw new UserError(`${path}:${line}: is not valid JSON: a string does not end`);
        }
        line++;
      }
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
        continue;
      }
      if (isJsonSpace(byte)) continue;
      if (begins === 0) [begins, start] = [line, i];
      if (byte === QUOTE) inString = true;
      else if (OPENING.includes(byte)) depth++;
      else if (CLOSING.includes(byte)) depth--;
      // A value that is no object is a broken one, which its parser refuses.
      if (depth > 0 || inString) continue;
      held.push(chunk.slice(start, i + 1));
      yield { bytes: concat(held), line: begins };
      [held, begins] = [[], 0];
    }
    if (begins > 0) held.push(chunk.slice(start));
  }
  if (begins === 0) return;
  throw new UserError(
    `${path}:${line}: the file stops inside the JSON object that begins on line ${begins}`,
    "is it truncated?",
  );
}

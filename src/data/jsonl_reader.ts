/** JSON Lines, plain or gzipped: a line is a document. */
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { FileRange } from "../formats/file_range.ts";
import { UserError } from "../gpu/errors.ts";
import { type Piece, type Place, type ReaderOptions, textOf, unreadable } from "./documents.ts";

const CHUNK_BYTES = 1 << 18;

/** Documents of a file that can be entered at any line whose offset is known. */
export async function* readJsonl(
  path: string,
  from: Place,
  options: ReaderOptions,
): AsyncGenerator<Piece> {
  yield* documents(path, from, options, chunksOf(path, from.offset));
}

/** Documents of a gzipped file: it has to be unpacked from the start, but not parsed. */
export async function* readJsonlGz(
  path: string,
  from: Place,
  options: ReaderOptions,
): AsyncGenerator<Piece> {
  for await (
    const piece of documents(path, { offset: 0, record: 0 }, options, unpacked(path), from)
  ) {
    yield { ...piece, place: { offset: 0, record: piece.place.record } };
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

/** Parses the lines of `chunks`, which start at `from`; those before `skipTo` are only counted. */
async function* documents(
  path: string,
  from: Place,
  { textField }: ReaderOptions,
  chunks: AsyncIterable<Uint8Array>,
  skipTo: Place = from,
): AsyncGenerator<Piece> {
  let { offset, record } = from;
  const where = () => `${path}:${record + 1}`;
  try {
    for await (const { bytes, terminated } of linesOf(chunks)) {
      const place = { offset, record };
      if (record >= skipTo.record) {
        const line = decode(bytes, where());
        if (line.trim() !== "") {
          const text = textOf(parse(line, terminated, where()), textField, where());
          yield { text, first: true, last: true, where: where(), place };
        }
      }
      offset += bytes.length + 1;
      record++;
    }
  } catch (error) {
    throw unreadable(where(), error);
  }
}

/** Splits at newlines; the last line may lack its own. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>) {
  let held: Uint8Array[] = [];
  for await (let chunk of chunks) {
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a)) {
      yield { bytes: joined([...held, chunk.subarray(0, end)]), terminated: true };
      held = [];
      chunk = chunk.subarray(end + 1);
    }
    if (chunk.length) held.push(chunk);
  }
  if (held.length) yield { bytes: joined(held), terminated: false };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function decode(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UserError(`${where}: is not UTF-8 text`);
  }
}

function parse(line: string, terminated: boolean, where: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (line.trimStart().startsWith("[")) {
      throw new UserError(
        `${where}: begins a JSON array; one object a line is expected (JSON Lines)`,
        "convert it, for example with jq -c '.[]' file.json > file.jsonl",
      );
    }
    throw new UserError(
      `${where}: is no valid JSON: ${(error as Error).message}`,
      terminated ? undefined : "this is the last line and it does not end: was the file cut off?",
    );
  }
}

/** Data of a program as lines of JSON: in memory, in a temporary file, or made anew at each pass. */
import { type ByteSource, CHUNK_BYTES, plainBytes, skipBytes } from "./byte_source.ts";
import { unreadable } from "./documents.ts";
import { UserError } from "../options/user_error.ts";
import { jsonLine } from "./json_line.ts";
import { temporaryFile } from "./temporary_file.ts";

/** Lines of JSON, one for each item. */
export interface MemoryLines {
  readonly source: ByteSource;
  /** A hash of all lines; none of those that are made anew. */
  readonly content?: number;
}

/** The items of an array, which is read where it is. */
export function linesOfArray(label: string, items: readonly unknown[]): MemoryLines {
  const index = new LineIndex(), line = (i: number) => jsonLine(items[i], `${label}[${i}]`);
  for (let i = 0; i < items.length; i++) index.add(line(i));
  // Items that have joined are not read; other changes would shift what positions stand for.
  const from = function* (first: number) {
    for (let i = first; i < index.count; i++) {
      const text = i < items.length ? line(i) : undefined;
      if (text === undefined || index.startOf(i) + lineBytes(text) !== index.startOf(i + 1)) {
        throw new UserError(`${label}[${i}]: has changed during the run`, "give the run a copy");
      }
      yield text;
    }
  };
  const source: ByteSource = {
    path: label,
    size: index.size,
    itemAt: index.namer(label),
    async *chunks(offset = 0, chunkBytes = CHUNK_BYTES) {
      const first = index.lineAt(offset);
      yield* skipBytes(encoded(from(first), chunkBytes), offset - index.startOf(first));
    },
  };
  return { source, content: index.content };
}

/** Items that can be read only once: they are read to their end, into a temporary file. */
export async function linesOfItems(
  label: string,
  items: AsyncIterable<unknown>,
  onItem: (count: number) => void = () => {},
): Promise<MemoryLines> {
  const index = new LineIndex();
  const lines = async function* () {
    for await (const line of linesOf(label, items)) {
      index.add(line);
      onItem(index.count);
      yield line;
    }
  };
  const path = await temporaryFile(encoded(lines()));
  const source = { ...plainBytes(path, index.size, label), itemAt: index.namer(label) };
  return { source, content: index.content };
}

/** Items that `open` gives anew at each pass. */
export function linesOfCalls(label: string, open: () => AsyncIterable<unknown>): MemoryLines {
  return {
    source: {
      path: label,
      itemAt: ({ record }) => `${label}[${record}]`,
      chunks: (offset = 0, chunkBytes = CHUNK_BYTES) =>
        // One by one: the next item may be long in coming.
        skipBytes(encoded(linesOf(label, open()), offset > 0 ? chunkBytes : 1), offset),
    },
  };
}

async function* linesOf(label: string, items: AsyncIterable<unknown>): AsyncGenerator<string> {
  let index = 0;
  try {
    for await (const item of items) yield jsonLine(item, `${label}[${index++}]`);
  } catch (error) {
    throw unreadable(`${label}[${index}]`, error);
  }
}

const encoder = new TextEncoder();

async function* encoded(
  lines: Iterable<string> | AsyncIterable<string>,
  chunkBytes = CHUNK_BYTES,
): AsyncGenerator<Uint8Array> {
  let text = "";
  for await (const line of lines) {
    text += line + "\n";
    if (text.length < chunkBytes) continue;
    yield encoder.encode(text);
    text = "";
  }
  if (text) yield encoder.encode(text);
}

/** In UTF-8, the end of the line included. */
function lineBytes(line: string): number {
  let bytes = line.length + 1;
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i);
    // Each half of a surrogate pair has two of its four bytes.
    if (code > 0x7f) bytes += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

/** Where lines end: eight bytes each. */
class LineIndex {
  #ends = new Float64Array(1 << 10);
  #count = 0;
  #content = 0x811c9dc5;

  get count(): number {
    return this.#count;
  }

  get size(): number {
    return this.startOf(this.#count);
  }

  /** A 32-bit hash of every character (FNV-1a). */
  get content(): number {
    return this.#content >>> 0;
  }

  add(line: string): void {
    if (this.#count === this.#ends.length) {
      const ends = new Float64Array(2 * this.#count);
      ends.set(this.#ends);
      this.#ends = ends;
    }
    let hash = Math.imul(this.#content ^ line.length, 0x01000193);
    for (let i = 0; i < line.length; i++) hash = Math.imul(hash ^ line.charCodeAt(i), 0x01000193);
    this.#ends[this.#count] = this.size + lineBytes(line);
    this.#count++;
    this.#content = hash;
  }

  startOf(line: number): number {
    return line === 0 ? 0 : this.#ends[line - 1];
  }

  /** The line that a byte belongs to. */
  lineAt(offset: number): number {
    let low = 0, high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ends[middle] <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Names items by their place. */
  namer(label: string): ByteSource["itemAt"] {
    return ({ offset, record = this.lineAt(offset) }) => `${label}[${record}]`;
  }
}

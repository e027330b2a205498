/** The bytes of a text or of JSON: of a file as it is, decompressed, or converted from UTF-16. */
import { FileRange } from "../files/file_range.ts";
import { type Compression, unpacked } from "./compression.ts";
import { unreadable } from "./documents.ts";

/** Bytes that can be read from any offset. */
export interface ByteSource {
  /** The file, as messages name it. */
  readonly path: string;
  /** Their number, where known without reading them. */
  readonly size?: number;
  /** Of data that is lines of JSON whatever it looks like: how messages name a line. */
  readonly itemAt?: (place: { readonly offset: number; readonly record?: number }) => string;
  /**
   * Bytes from an offset, so many at a time; without `size`, those before it are decompressed, too.
   */
  chunks(offset?: number, chunkBytes?: number): AsyncGenerator<Uint8Array>;
}

/** Bytes of a chunk, by default. */
export const CHUNK_BYTES = 1 << 18;

/** A file as it is. `path` is read; `label`, by default the same, is what messages call it. */
export function plainBytes(path: string, size: number, label: string = path): ByteSource {
  return {
    path: label,
    size,
    async *chunks(offset = 0, chunkBytes = CHUNK_BYTES) {
      const file = await FileRange.open(path).catch((error) => {
        throw unreadable(label, error);
      });
      try {
        for (; offset < size; offset += chunkBytes) {
          const end = Math.min(size, offset + chunkBytes), chunk = await file.read(offset, end);
          if (chunk.length < end - offset) throw unreadable(label, shortened(offset, chunk, size));
          yield chunk;
        }
      } finally {
        file.close();
      }
    },
  };
}

/** A file that was cut while it is used must not pass for a shorter one. */
function shortened(offset: number, chunk: Uint8Array, size: number): Error {
  return new Error(`it ends after ${offset + chunk.length} bytes, and had ${size} before`);
}

/** A compressed file. */
export function unpackedBytes(
  path: string,
  compression: Compression,
  label: string = path,
): ByteSource {
  return {
    path: label,
    chunks: (offset = 0) => skipBytes(unpacked(path, compression, label), offset),
  };
}

export type Utf16 = "utf-16le" | "utf-16be";

/** UTF-16 by its byte order mark, as Windows' programs write it. */
export function utf16Of(head: Uint8Array): Utf16 | undefined {
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  if (head[0] === 0xfe && head[1] === 0xff) return "utf-16be";
}

/** UTF-16 as UTF-8, without its byte order mark. */
export function fromUtf16(source: ByteSource, encoding: Utf16): ByteSource {
  const converted = async function* () {
    const decoder = new TextDecoder(encoding, { fatal: true }), encoder = new TextEncoder();
    try {
      for await (const chunk of source.chunks()) {
        yield encoder.encode(decoder.decode(chunk, { stream: true }));
      }
      yield encoder.encode(decoder.decode());
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw unreadable(source.path, new Error("is not valid UTF-16"));
    }
  };
  return { path: source.path, chunks: (offset = 0) => skipBytes(converted(), offset) };
}

/** The bytes from an offset on. */
export async function* skipBytes(
  chunks: AsyncGenerator<Uint8Array>,
  offset: number,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    if (offset < chunk.length) yield offset > 0 ? chunk.subarray(offset) : chunk;
    offset = Math.max(0, offset - chunk.length);
  }
}

/** The number of bytes; a compressed file is read for it. */
export async function sizeOf(source: ByteSource): Promise<number> {
  if (source.size !== undefined) return source.size;
  let size = 0;
  for await (const chunk of source.chunks()) size += chunk.length;
  return size;
}

/** Bytes [start, end); fewer if the source ends earlier. */
export async function readBytes(
  source: ByteSource,
  start: number,
  end: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, end - start));
  let filled = 0;
  if (bytes.length === 0) return bytes;
  for await (const chunk of source.chunks(start, Math.min(bytes.length, CHUNK_BYTES))) {
    const part = chunk.subarray(0, bytes.length - filled);
    bytes.set(part, filled);
    filled += part.length;
    if (filled === bytes.length) break;
  }
  return bytes.subarray(0, filled);
}

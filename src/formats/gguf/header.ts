/**
 * The header of a GGUF file: metadata and tensor locations, checked against the file's size.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * Read by hand: the package that writes headers cuts off strings at the end of a piece that it has
 * read, drops byte order marks, which are tokens, and takes seconds for a large vocabulary.
 */
import { UserError } from "../../options/user_error.ts";
import { FileRange } from "../../files/file_range.ts";
import { HEAD_BYTES, notWeights } from "../../files/stand_in.ts";
import { HeaderFault, HeaderReader, HeaderTooShort, type HeaderValue } from "./header_reader.ts";
import { Metadata } from "./metadata.ts";

/** A tensor as described in the file. */
export interface GgufTensor {
  readonly name: string;
  /** Row-major; ggml lists the dimensions in reverse. */
  readonly shape: readonly number[];
  /** ggml's id of its type. */
  readonly type: number;
  /** First byte, counted from the start of the file. */
  readonly start: number;
}

export interface GgufHeader {
  readonly metadata: Metadata;
  readonly tensors: readonly GgufTensor[];
}

const MAGIC = "GGUF";
/** Of llama.cpp's files before GGUF, as text. */
const OLD_MAGIC = ["lmgg", "fmgg", "tjgg", "algg"];
/** Bytes read at first; doubled until the header is complete. */
const FIRST_BYTES = 1 << 20;
const DEFAULT_ALIGNMENT = 32;

/** Reads only the header. Throws a {@link UserError} on anything but a complete GGUF header. */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const info = await Deno.stat(path).catch((error) => {
    throw new UserError(`${path}: cannot be opened: ${(error as Error).message}`);
  });
  if (!info.isFile) throw new UserError(`${path}: is not a file`);
  const file = await FileRange.open(path);
  try {
    assertGguf(path, await file.read(0, HEAD_BYTES));
    for (let length = FIRST_BYTES;; length *= 2) {
      const bytes = await file.read(0, length);
      try {
        return parse(path, new HeaderReader(bytes, file.size));
      } catch (error) {
        if (error instanceof HeaderFault) {
          throw new UserError(`${path}: is not a valid GGUF file: ${error.message}`, NOT_ONE);
        }
        if (!(error instanceof HeaderTooShort)) throw error;
        if (bytes.length >= file.size) {
          throw new UserError(`${path}: the file ends within its header`, NOT_ONE);
        }
      }
    }
  } finally {
    file.close();
  }
}

const NOT_ONE = "is this a complete GGUF file?";

/** Refuses what is no GGUF file, by what it is if that is known. */
function assertGguf(path: string, head: Uint8Array): void {
  const magic = new TextDecoder("latin1").decode(head.subarray(0, 4));
  if (magic === MAGIC) return;
  if (OLD_MAGIC.includes(magic)) {
    throw new UserError(
      `${path}: is in a format of llama.cpp from before GGUF`,
      "give a newer copy: llama.cpp no longer reads it either",
    );
  }
  throw notWeights(path, head) ?? new UserError(
    `${path}: is not a valid GGUF file: it does not start with the GGUF magic number`,
    NOT_ONE,
  );
}

function parse(path: string, reader: HeaderReader): GgufHeader {
  reader.uint32(); // the magic number
  const version = reader.uint32();
  // The same number with its bytes reversed.
  if ((version & 0xffff) === 0) {
    throw new UserError(`${path}: is big-endian, only little-endian GGUF is supported`);
  }
  if (version < 1 || version > 3) {
    throw new UserError(`${path}: GGUF version ${version} is not supported`, "1, 2 and 3 are");
  }
  reader.narrow = version === 1;
  // A tensor takes at least its name's length, type and offset, a value its key's length and type.
  const tensorCount = reader.size(20), keyCount = reader.size(9);
  const values: Record<string, HeaderValue> = Object.create(null);
  for (let i = 0; i < keyCount; i++) {
    const key = reader.string();
    if (key in values) throw new HeaderFault(`two values of ${key}`);
    values[key] = reader.typed();
  }
  const metadata = new Metadata(path, values);
  const alignment = metadata.count("general.alignment", DEFAULT_ALIGNMENT);
  if ((alignment & (alignment - 1)) !== 0) {
    throw new UserError(`${path}: general.alignment must be a power of 2, got ${alignment}`);
  }
  const listed = Array.from({ length: tensorCount }, () => readTensor(reader));
  const data = Math.ceil(reader.at / alignment) * alignment, names = new Set<string>();
  const tensors = listed.map(({ offset, ...tensor }) => {
    const fault = (message: string) => new HeaderFault(`tensor ${tensor.name}: ${message}`);
    if (names.has(tensor.name)) throw fault("is listed twice");
    if (offset % alignment !== 0) throw fault(`starts at ${offset}, no multiple of ${alignment}`);
    names.add(tensor.name);
    return { ...tensor, start: data + offset };
  });
  return { metadata, tensors };
}

/** ggml's own limit. */
const MOST_DIMENSIONS = 4;

function readTensor(reader: HeaderReader) {
  const name = reader.string(), dimensions = reader.uint32();
  if (dimensions > MOST_DIMENSIONS) {
    throw new HeaderFault(`tensor ${name}: ${dimensions} dimensions, at most ${MOST_DIMENSIONS}`);
  }
  const shape = Array.from({ length: dimensions }, () => reader.dimension()).reverse();
  // Some writers list all dimensions that ggml has.
  while (shape.length > 2 && shape[0] === 1) shape.shift();
  return { name, shape, type: reader.uint32(), offset: reader.uint64() };
}

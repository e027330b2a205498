/** The header of a GGUF file: metadata and tensor locations, checked against the file's size. */
import { gguf } from "@huggingface/gguf";
import { UserError } from "../../options/user_error.ts";
import { FileRange } from "../../files/file_range.ts";
import { HEAD_BYTES, notWeights } from "../../files/stand_in.ts";
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

/** Reads only the header. Throws a {@link UserError} on anything but a complete GGUF header. */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const info = await Deno.stat(path).catch((error) => {
    throw new UserError(`${path}: cannot be opened: ${(error as Error).message}`);
  });
  if (!info.isFile) throw new UserError(`${path}: is not a file`);
  const impostor = notGguf(path, await headOf(path));
  if (impostor) throw impostor;
  let header: Awaited<ReturnType<typeof parse>>;
  try {
    header = await parse(path);
  } catch (error) {
    throw new UserError(`${path}: is not a valid GGUF file: ${(error as Error).message}`, NOT_ONE);
  }
  // The parser reads zeros beyond the end of a file.
  if (header.tensorInfoByteRange[1] > info.size) {
    throw new UserError(`${path}: the file ends within its header`, NOT_ONE);
  }
  if (!header.littleEndian) {
    throw new UserError(`${path}: is big-endian, only little-endian GGUF is supported`);
  }
  const tensors = header.tensorInfos.map(({ name, shape, dtype, offset }) => ({
    name,
    shape: shape.map(Number).reverse(),
    type: dtype as number,
    start: Number(header.tensorDataOffset + offset),
  }));
  return { metadata: new Metadata(path, { ...header.metadata }), tensors };
}

/** A small text of any kind, or what {@link notWeights} recognises. */
function notGguf(path: string, head: Uint8Array): UserError | undefined {
  return new TextDecoder().decode(head).startsWith("GGUF") ? undefined : notWeights(path, head);
}

async function headOf(path: string): Promise<Uint8Array> {
  const file = await FileRange.open(path);
  try {
    return await file.read(0, HEAD_BYTES);
  } finally {
    file.close();
  }
}

const NOT_ONE = "is this a complete GGUF file?";

function parse(path: string) {
  // A path that looks like a URL is still a path.
  const local = /^https?:/.test(path) ? `./${path}` : path;
  return gguf(local, { allowLocalFile: true });
}

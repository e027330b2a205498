/**
 * The header of a safetensors file: 8 bytes of length (little-endian), JSON, then the data.
 * https://github.com/huggingface/safetensors#format
 *
 * Files are untrusted: every offset is checked before any data is read.
 */
import { UserError } from "../options/user_error.ts";
import { ELEMENT_BYTES, type ElementType, isElementType } from "./element_types.ts";
import type { FileRange } from "../files/file_range.ts";
import { HEAD_BYTES, notWeights } from "../files/stand_in.ts";
import { elementsOf } from "../numbers/layout.ts";
import { quoted } from "../text.ts";

/** A tensor of a safetensors file, as its header describes it. */
export interface TensorInfo {
  /** Its key in the file. */
  readonly name: string;
  /** Format of the elements. */
  readonly dtype: ElementType;
  /** Row-major. */
  readonly shape: readonly number[];
  /** The file that holds it; a sharded model has several. */
  readonly path: string;
  /** Offset of its first byte in the file. */
  readonly start: number;
  /** Size of its data. */
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly tensors: TensorInfo[];
  readonly metadata: Record<string, string>;
}

/** As in the reference implementation: a larger header is a broken or hostile file. */
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Reads and validates the header; throws a {@link UserError} that names file, tensor and values.
 */
export async function readHeader(file: FileRange): Promise<SafetensorsHeader> {
  const fault = (message: string, hint?: string) => new UserError(`${file.path}: ${message}`, hint);
  const impostor = notWeights(file.path, await file.read(0, HEAD_BYTES));
  if (impostor) throw impostor;
  if (file.size < 8) {
    throw fault(
      `a safetensors file has at least 8 bytes, this one has ${file.size}`,
      "was the download or copy truncated?",
    );
  }
  const prefix = await file.read(0, 8);
  const declared = new DataView(prefix.buffer).getBigUint64(0, true);
  if (declared > BigInt(MAX_HEADER_BYTES)) {
    throw fault(`header of ${declared} bytes, at most ${MAX_HEADER_BYTES} are allowed`, NOT_ONE);
  }
  const length = Number(declared);
  if (8 + length > file.size) {
    throw fault(`header of ${length} bytes, but the file ends ${file.size - 8} bytes on`, NOT_ONE);
  }
  const header = parseJson(await file.read(8, 8 + length), fault);
  const { __metadata__, ...entries } = header, metadata = __metadata__ ?? {};
  if (!isRecord(metadata) || !Object.values(metadata).every((v) => typeof v === "string")) {
    throw fault(`__metadata__ must map strings to strings, got ${quoted(metadata)}`);
  }
  const tensors = Object.entries(entries)
    .map(([name, entry]) => tensorInfo(name, entry, file.path, 8 + length))
    .sort((a, b) => a.start - b.start || a.byteLength - b.byteLength);
  checkLayout(tensors, 8 + length, file.size, fault);
  return { tensors, metadata: metadata as Record<string, string> };
}

const NOT_ONE = "is this a safetensors file, and whole?";

type Fault = (message: string, hint?: string) => UserError;

function parseJson(bytes: Uint8Array, fault: Fault): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw fault(`the header is not valid JSON: ${(error as Error).message}`, NOT_ONE);
  }
  if (!isRecord(value)) throw fault("the header is no JSON object", NOT_ONE);
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function tensorInfo(name: string, entry: unknown, path: string, dataStart: number): TensorInfo {
  const fault = (message: string) => new UserError(`${path}: tensor ${name}: ${message}`);
  if (!isRecord(entry)) throw fault(`must be an object, got ${quoted(entry)}`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isElementType(dtype)) {
    const known = Object.keys(ELEMENT_BYTES).join(", ");
    throw fault(`dtype ${quoted(dtype)} is not supported (${known} are)`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw fault(`shape must list sizes of 0 or more, got ${quoted(shape)}`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw fault(`data_offsets must be [start, end], got ${quoted(offsets)}`);
  }
  const [start, end] = offsets as number[];
  const expected = elementsOf({ shape }) * ELEMENT_BYTES[dtype];
  if (end - start !== expected) {
    throw fault(
      `${dtype} [${shape.join(", ")}] takes ${expected} bytes, ` +
        `data_offsets [${start}, ${end}] span ${end - start}`,
    );
  }
  return { name, dtype, shape, path, start: dataStart + start, byteLength: expected };
}

/** The data must be contiguous, without gaps or overlaps, and end at the end of the file. */
function checkLayout(tensors: TensorInfo[], dataStart: number, size: number, fault: Fault): void {
  let end = dataStart, before = "the header";
  for (const tensor of tensors) {
    const what = `tensor ${tensor.name} starts at byte ${tensor.start}`;
    if (tensor.start + tensor.byteLength > size) {
      throw fault(
        `tensor ${tensor.name} ends at byte ${tensor.start + tensor.byteLength}, ` +
          `the file has ${size}`,
        "was the download or copy truncated?",
      );
    }
    if (tensor.start < end) throw fault(`${what} and overlaps ${before}, which ends at ${end}`);
    if (tensor.start > end) throw fault(`${what}, a gap after ${before}, which ends at ${end}`);
    [end, before] = [tensor.start + tensor.byteLength, `tensor ${tensor.name}`];
  }
  if (end !== size) {
    throw fault(`the data ends at byte ${end}, but the file has ${size}`, NOT_ONE);
  }
}

/** Safetensors files and sharded folders: ranged reads, streaming writes. */
import { basename, dirname, join } from "../packages/std_path.ts";
import { UserError } from "../options/user_error.ts";
import { writeAtomically } from "../files/atomic.ts";
import { type Contents, writeContents } from "../files/contents.ts";
import { writeBehind } from "../files/write_behind.ts";
import { statOf } from "../files/stat.ts";
import { ELEMENT_BYTES, type ElementType, toFloat32 } from "./element_types.ts";
import { isObject } from "../files/fields.ts";
import { FileRange } from "../files/file_range.ts";
import { ggufModels } from "../files/gguf_path.ts";
import { readJsonObject } from "../files/json_file.ts";
import { readHeader, type SafetensorsHeader, type TensorInfo } from "./safetensors_header.ts";
import type { WeightFile } from "./weight_file.ts";
import { elementsOf } from "../numbers/layout.ts";
import { quoted } from "../text.ts";
export type { ElementType, TensorInfo };
export { ELEMENT_BYTES, toFloat32 };

const INDEX = "model.safetensors.index.json";
const SINGLE = "model.safetensors";

/** An opened model, of which only headers have been read. */
export class Safetensors implements WeightFile {
  private constructor(
    readonly path: string,
    /** By name, in the order of the files. */
    readonly tensors: ReadonlyMap<string, TensorInfo>,
    readonly metadata: Readonly<Record<string, string>>,
    private readonly files: ReadonlyMap<string, FileRange>,
  ) {}

  /**
   * Opens a `.safetensors` file, a `.index.json`, or a folder with `model.safetensors` or
   * `model.safetensors.index.json`. Throws a {@link UserError} on an invalid file.
   */
  static async open(path: string): Promise<Safetensors> {
    const files = new Map<string, FileRange>();
    try {
      const { tensors, metadata } = await openFiles(await locate(path), files);
      return new Safetensors(path, new Map(tensors.map((t) => [t.name, t])), metadata, files);
    } catch (error) {
      for (const opened of files.values()) opened.close();
      throw error;
    }
  }

  /** Information about a tensor; throws a {@link UserError} if none has that name. */
  info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (!info) {
      const names = [...this.tensors.keys()];
      throw new UserError(
        `${this.path}: has no tensor ${name}`,
        `it has ${names.slice(0, 4).join(", ")}${names.length > 4 ? ", …" : ""}`,
      );
    }
    return info;
  }

  /** Bytes [start, start + length) of a tensor; by default all of them. */
  async read(name: string, start = 0, length?: number): Promise<Uint8Array<ArrayBuffer>> {
    const info = this.info(name);
    const end = start + (length ?? info.byteLength - start);
    if (!(0 <= start && start <= end && end <= info.byteLength)) {
      throw new UserError(
        `${info.path}: tensor ${name}: bytes [${start}, ${end}) of ${info.byteLength} asked for`,
      );
    }
    const bytes = await this.files.get(info.path)!.read(info.start + start, info.start + end);
    if (bytes.length !== end - start) {
      throw new UserError(`${info.path}: tensor ${name}: the file shrank after it was opened`);
    }
    return bytes;
  }

  /** Elements [start, start + count) as float32, flattened; by default all of them. */
  async readFloat32(name: string, start = 0, count?: number): Promise<Float32Array<ArrayBuffer>> {
    const { dtype } = this.info(name);
    const size = ELEMENT_BYTES[dtype];
    const length = count === undefined ? undefined : count * size;
    return toFloat32(dtype, await this.read(name, start * size, length));
  }

  /** The bytes of a tensor in pieces of at most `chunkBytes`. */
  async *chunks(name: string, chunkBytes = 1 << 22): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { byteLength } = this.info(name);
    for (let start = 0; start < byteLength; start += chunkBytes) {
      yield await this.read(name, start, Math.min(chunkBytes, byteLength - start));
    }
  }

  /** Closes the files. */
  close(): void {
    for (const file of this.files.values()) file.close();
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

async function locate(path: string): Promise<string> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (error) {
    throw new UserError(`${path}: cannot be opened: ${(error as Error).message}`);
  }
  if (!info.isDirectory) return path;
  const found = await weightsIn(path);
  if (found !== undefined) return found;
  throw new UserError(`${path}: holds neither ${SINGLE} nor ${INDEX}`, await hintFor(path));
}

/** The file that {@link Safetensors.open} would open in a folder. */
export async function weightsIn(folder: string): Promise<string | undefined> {
  for (const name of [SINGLE, INDEX]) {
    const found = await statOf(join(folder, name));
    if (found?.isFile) return join(folder, name);
  }
}

/** A hint about what a folder contains instead. */
async function hintFor(folder: string): Promise<string | undefined> {
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  const of = (ending: RegExp) => names.filter((name) => ending.test(name)).slice(0, 4).join(", ");
  const shards = of(/-\d+-of-\d+\.safetensors$/), pickled = of(/\.(bin|pth|pt)$/);
  if (shards) return `it has ${shards}: is the index missing?`;
  if (names.includes("consolidated.safetensors")) {
    return "it has consolidated.safetensors, weights in Mistral's own layout: give a copy in " +
      "transformers' layout";
  }
  const others = of(/\.safetensors$/), ggufs = ggufModels(names);
  if (others) return `it has ${others}: if these are all weights, rename the file ${SINGLE}`;
  if (ggufs.length) return `it has ${ggufs.slice(0, 4).join(", ")}: give the path of that file`;
  if (pickled) return `it has ${pickled}: transformers' save_pretrained(folder) converts those`;
}

async function openInto(files: Map<string, FileRange>, path: string): Promise<FileRange> {
  try {
    const file = await FileRange.open(path);
    files.set(path, file);
    return file;
  } catch (error) {
    throw new UserError(`${path}: cannot be opened: ${(error as Error).message}`);
  }
}

/** Opens the file, or every shard that an index names, into `files`. */
async function openFiles(path: string, files: Map<string, FileRange>): Promise<SafetensorsHeader> {
  if (!path.endsWith(".json")) return await readHeader(await openInto(files, path));
  return await openShards(path, files);
}

/**
 * The index maps tensor names to names of files beside it. As in transformers, all tensors of those
 * files count, and one that is in another file than the index says is found there.
 */
async function openShards(
  index: string,
  files: Map<string, FileRange>,
): Promise<SafetensorsHeader> {
  const shards = (await readJsonObject(index))!.weight_map;
  if (!isObject(shards)) {
    throw new UserError(`${index}: weight_map must map names of tensors to files`);
  }
  const entries = Object.entries(shards);
  const names = [...new Set(entries.map(([, file]) => shardName(index, file)))];
  await assertThere(index, names);
  const held: TensorInfo[] = [], metadata: Record<string, string> = {};
  for (const shard of names) {
    const header = await readHeader(await openInto(files, join(dirname(index), shard)));
    held.push(...header.tensors);
    Object.assign(metadata, header.metadata);
  }
  const tensors = new Map<string, TensorInfo>();
  for (const tensor of held) {
    // Of several tensors of one name, from different saves, the index decides.
    const listed = shards[tensor.name] === basename(tensor.path);
    if (listed || !tensors.has(tensor.name)) tensors.set(tensor.name, tensor);
  }
  const absent = entries.filter(([name]) => !tensors.has(name));
  if (absent.length === 0) return { tensors: [...tensors.values()], metadata };
  const [[, shard]] = absent;
  const there = absent.filter(([, file]) => file === shard).map(([name]) => name);
  throw new UserError(
    `${index}: tensor${plural(there)} not in ${shard}`,
    "are index and shards of the same model?",
  );
}

function shardName(index: string, shard: unknown): string {
  if (typeof shard === "string" && basename(shard) === shard && shard !== "..") return shard;
  throw new UserError(`${index}: shard ${quoted(shard)} must be a file beside it`);
}

/** Reports every missing shard, not only the first. */
async function assertThere(index: string, shards: readonly string[]): Promise<void> {
  const found = await Promise.all(
    shards.map((name) => statOf(join(dirname(index), name))),
  );
  const missing = shards.filter((_, at) => !found[at]?.isFile);
  if (missing.length === 0) return;
  throw new UserError(
    `${index}: of ${shards.length} shards, ${missing.length} missing: ${missing.join(", ")}`,
    "was the download or copy truncated?",
  );
}

/** " a is", "s a, b are": the first few of many. */
function plural(names: readonly string[]): string {
  const more = names.length > 8 ? ` and ${names.length - 8} more` : "";
  return `${names.length > 1 ? "s" : ""} ${names.slice(0, 8).join(", ")}${more} ` +
    `${names.length > 1 ? "are" : "is"}`;
}

/** Larger elements first, so that every tensor is aligned. */
const ORDER = Object.keys(ELEMENT_BYTES);

/** A tensor to write. */
export interface SafetensorsEntry {
  /** Its key in the file. */
  readonly name: string;
  /** Format of `data`. */
  readonly dtype: ElementType;
  /** Row-major. */
  readonly shape: readonly number[];
  /** Exactly the tensor's bytes. */
  readonly data: Contents;
}

/**
 * Writes a file atomically in one pass. Entries are sorted as in the reference implementation
 * (largest elements first, then by name), so that every tensor is aligned; their data is requested in
 * that order. `onWrite` is called with the bytes of each piece.
 */
export async function writeSafetensors(
  path: string,
  entries: readonly SafetensorsEntry[],
  metadata?: Readonly<Record<string, string>>,
  onWrite?: (bytes: number) => void,
): Promise<void> {
  const sorted = [...entries].sort((a, b) =>
    ORDER.indexOf(a.dtype) - ORDER.indexOf(b.dtype) || (a.name < b.name ? -1 : 1)
  );
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  let end = 0;
  for (const { name, dtype, shape } of sorted) {
    if (Object.hasOwn(header, name)) throw new UserError(`${path}: two tensors are named ${name}`);
    header[name] = { dtype, shape, data_offsets: [end, end += bytesOf(dtype, shape)] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const prefix = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(prefix.length - 8), true);
  prefix.set(json, 8);
  const written = new Map<string, number>();
  await writeAtomically(path, (file) =>
    writeBehind(file, async (write) => {
      await write(prefix);
      await writeContents(write, sorted, ({ name }, bytes) => {
        written.set(name, (written.get(name) ?? 0) + bytes.length);
        onWrite?.(bytes.length);
      });
      for (const entry of sorted) assertWhole(path, entry, written.get(entry.name) ?? 0);
    }));
}

function assertWhole(
  path: string,
  { name, dtype, shape }: SafetensorsEntry,
  written: number,
): void {
  const expected = bytesOf(dtype, shape);
  if (written === expected) return;
  throw new UserError(
    `${path}: tensor ${name}: ${dtype} [${shape.join(", ")}] takes ${expected} bytes, ` +
      `the data has ${written}`,
  );
}

function bytesOf(dtype: ElementType, shape: readonly number[]): number {
  return elementsOf({ shape }) * ELEMENT_BYTES[dtype];
}

/**
 * Reads checkpoints: a folder with a manifest, and the raw bytes of a run's tensors in one file.
 * src/train/checkpoint.ts writes them.
 */
import { join } from "../../packages/std_path.ts";
import { checkingOf } from "./checksum.ts";
import type { FileRange } from "../../files/file_range.ts";
import { namesIn } from "../../files/names_in.ts";
import {
  CheckpointError,
  ENTRIES_FILE,
  type EntryRecord,
  type Manifest,
  MANIFEST_FILE,
  parseManifest,
} from "./manifest.ts";
import { bytesPerByte, wordsOfPairs } from "./old_constants.ts";

/** Bytes of a file held in memory at a time. */
const CHUNK_BYTES = 4 << 20;
const FOLDER = /^checkpoint-(\d+)$/;

/** Opens a checkpoint after checking its manifest and length; contents are checked when read. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const manifestPath = join(path, MANIFEST_FILE);
  let text: string;
  try {
    text = await Deno.readTextFile(manifestPath);
  } catch (error) {
    throw new CheckpointError(
      `checkpoint: cannot read ${manifestPath}: ${(error as Error).message}`,
      "pass a checkpoint-<step> folder, or auto",
    );
  }
  const manifest = parseManifest(text, manifestPath);
  const file = join(path, ENTRIES_FILE);
  const actual = await Deno.stat(file).then(({ size }) => size, () => undefined);
  if (actual !== manifest.bytes) {
    throw new CheckpointError(
      `checkpoint: ${file} ${actual === undefined ? "is missing" : `has ${actual} bytes`}, ` +
        `expected ${manifest.bytes}`,
    );
  }
  return new Checkpoint(path, manifest);
}

/** A checkpoint opened for reading. */
export class Checkpoint {
  readonly #entries: ReadonlyMap<string, EntryRecord>;

  constructor(readonly path: string, readonly manifest: Manifest) {
    this.#entries = new Map(manifest.entries.map((entry) => [entry.name, entry]));
  }

  get step(): number {
    return this.manifest.step;
  }

  get state(): unknown {
    return this.manifest.state;
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Bytes of an entry. */
  bytes(name: string): number {
    return this.#find(name).bytes / bytesPerByte(this.manifest, name);
  }

  /**
   * Streams the bytes of an entry in pieces, each valid until the next is asked for. A wrong checksum
   * throws a {@link CheckpointError} after the last piece: the earlier pieces must then be discarded.
   */
  async *stream(name: string): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const entry = this.#find(name), pieces = this.#written(entry);
    if (bytesPerByte(this.manifest, name) === 1) yield* pieces;
    else yield wordsOfPairs(await joined(pieces, entry.bytes));
  }

  async *#written(entry: EntryRecord): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { name, offset, bytes } = entry;
    const path = join(this.path, ENTRIES_FILE), { checking, expected } = checkingOf(entry);
    using file = await Deno.open(path);
    await file.seek(offset, Deno.SeekMode.Start);
    // One for all pieces: gigabytes of fresh memory would lie around until they are collected.
    const memory = new Uint8Array(Math.min(CHUNK_BYTES, bytes));
    for (let done = 0; done < bytes;) {
      const piece = memory.subarray(0, Math.min(CHUNK_BYTES, bytes - done));
      const count = await file.read(piece);
      if (count === null) {
        throw new CheckpointError(
          `checkpoint: ${path} ends after ${offset + done} bytes, expected ${this.manifest.bytes}`,
        );
      }
      done += count;
      checking.update(piece.subarray(0, count));
      yield piece.subarray(0, count);
    }
    const actual = checking.digest();
    if (actual !== expected) {
      throw new CheckpointError(
        `checkpoint: ${name} in ${path} has ${checking.name} ${actual}, expected ${expected}`,
        "the file was damaged after writing; resume from an earlier checkpoint",
      );
    }
  }

  /** All bytes of an entry, checked. */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return await joined(this.stream(name), this.bytes(name));
  }

  /** Bytes [start, end) of an entry, whole words, from the file of entries; not checked. */
  async readRange(
    file: FileRange,
    name: string,
    start: number,
    end: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { offset } = this.#find(name), wide = bytesPerByte(this.manifest, name);
    const written = await file.read(offset + wide * start, offset + wide * end);
    return wide === 1 ? written : wordsOfPairs(written);
  }

  /** Reads these entries, by default all, and throws if a checksum is wrong. */
  async verify(
    { names = this.names, onProgress }: {
      readonly names?: readonly string[];
      readonly onProgress?: OnRead;
    } = {},
  ): Promise<void> {
    const progress = readProgress(this, names, onProgress);
    for (const name of names) {
      for await (const { length } of this.stream(name)) progress(length);
    }
  }

  #find(name: string): EntryRecord {
    const entry = this.#entries.get(name);
    if (!entry) {
      throw new CheckpointError(
        `checkpoint: ${this.path} has no entry ${name}`,
        "was it written with another model or another optimizer?",
      );
    }
    return entry;
  }
}

/** Called with the bytes of entries that are read, and with all that will be. */
export type OnRead = (read: number, bytes: number) => void;

/** Counts bytes of these entries as they are read. */
export function readProgress(
  checkpoint: Pick<Checkpoint, "bytes">,
  names: readonly string[],
  onProgress: OnRead = () => {},
): (bytes: number) => void {
  const total = names.reduce((sum, name) => sum + checkpoint.bytes(name), 0);
  let read = 0;
  return (bytes) => onProgress(read += bytes, total);
}

async function joined(
  pieces: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const all = new Uint8Array(bytes);
  let offset = 0;
  for await (const piece of pieces) {
    all.set(piece, offset);
    offset += piece.length;
  }
  return all;
}

/** The newest checkpoint of an output folder that is whole, and those that are not. */
export interface Newest {
  readonly checkpoint?: Checkpoint;
  /** Newer ones, the newest first. */
  readonly damaged: readonly { readonly path: string; readonly reason: string }[];
}

/** Finds the newest intact checkpoint in `output`, verified by reading all of it. */
export async function newestCheckpoint(output: string, onProgress?: OnRead): Promise<Newest> {
  const damaged: { path: string; reason: string }[] = [];
  for (const step of (await checkpointSteps(output)).reverse()) {
    const path = checkpointFolder(output, step);
    try {
      const checkpoint = await readCheckpoint(path);
      await checkpoint.verify({ onProgress });
      return { checkpoint, damaged };
    } catch (error) {
      // An error of the disk has a code.
      const { message, code } = error as Error & { code?: unknown };
      if (!(error instanceof CheckpointError) && typeof code !== "string") throw error;
      damaged.push({ path, reason: message });
    }
  }
  return { damaged };
}

/** The folder of the checkpoint after a step. */
export function checkpointFolder(output: string, step: number): string {
  return join(output, `checkpoint-${step}`);
}

/** Steps that have a checkpoint in the folder, ascending. */
export async function checkpointSteps(output: string): Promise<number[]> {
  return (await namesIn(output)).flatMap((name) => {
    const found = name.match(FOLDER);
    return found ? [Number(found[1])] : [];
  }).sort((a, b) => a - b);
}

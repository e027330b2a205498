/** What is to be written to a file: bytes at hand, in blocks that are made on demand, or streamed. */
import { ahead } from "./ahead.ts";
import { release } from "./release.ts";
import type { Write } from "./write_behind.ts";

/** A part of a file that is read, or made, when it is asked for. */
export interface Block {
  /** Its size. */
  readonly bytes: number;
  /** Fills `into`, of that size. May be called while other blocks are filled: that hides waiting. */
  readonly fill: (into: Uint8Array<ArrayBuffer>) => Promise<void>;
}

/**
 * Little-endian bytes, which must not change until they are written. Blocks are made ahead; a
 * stream, which is iterated once, is not begun before its turn.
 */
export type Contents = Uint8Array | readonly Block[] | AsyncIterable<Uint8Array>;

/** What is read and written at once, in memory that is used again, and how much of it ahead. */
const WINDOW_BYTES = 4 << 20, AHEAD_BYTES = 4 * WINDOW_BYTES;

/** Blocks side by side, of one file or several. */
interface Window<T> {
  bytes: number;
  readonly blocks: { readonly of: T; readonly block: Block; readonly at: number }[];
}

/**
 * Writes the contents of all of them, one after the other; blocks are made ahead across their
 * borders. `pass` is given every piece before it is written.
 */
export async function writeContents<T extends { readonly data: Contents }>(
  write: Write,
  all: Iterable<T>,
  pass: (of: T, bytes: Uint8Array) => void,
): Promise<void> {
  let blocks: { of: T; block: Block }[] = [];
  const writeBlocks = async () => {
    await writeWindows(write, windowsOf(blocks), pass);
    blocks = [];
  };
  for (const of of all) {
    const { data } = of;
    if (Array.isArray(data)) {
      blocks.push(...data.map((block) => ({ of, block })));
      continue;
    }
    await writeBlocks();
    for await (
      const bytes of data instanceof Uint8Array ? [data] : data as AsyncIterable<Uint8Array>
    ) {
      pass(of, bytes);
      await write(bytes);
    }
  }
  await writeBlocks();
}

function windowsOf<T>(blocks: readonly { of: T; block: Block }[]): Window<T>[] {
  const windows: Window<T>[] = [];
  for (const { of, block } of blocks) {
    let last = windows.at(-1);
    if (!last || last.bytes + block.bytes > WINDOW_BYTES) {
      windows.push(last = { bytes: 0, blocks: [] });
    }
    last.blocks.push({ of, block, at: last.bytes });
    last.bytes += block.bytes;
  }
  return windows;
}

async function writeWindows<T>(
  write: Write,
  windows: readonly Window<T>[],
  pass: (of: T, bytes: Uint8Array) => void,
): Promise<void> {
  const free: Uint8Array<ArrayBuffer>[] = [];
  let unfilled = windows.length;
  const written = (memory: Uint8Array<ArrayBuffer>) => {
    if (unfilled && memory.length === WINDOW_BYTES) free.push(memory);
    else release(memory);
  };
  const fill = async (window: Window<T>) => {
    const size = Math.max(WINDOW_BYTES, window.bytes);
    // Fresh memory costs as much as reading the device: the system hands it out page by page.
    const memory = size === WINDOW_BYTES && free.pop() || new Uint8Array(size);
    unfilled--;
    const pieces = window.blocks.map(({ of, block, at }) => (
      { of, block, bytes: memory.subarray(at, at + block.bytes) }
    ));
    await Promise.all(pieces.map(({ block, bytes }) => block.fill(bytes)));
    return { memory, pieces, bytes: memory.subarray(0, window.bytes) };
  };
  const filled = ahead(windows, fill, { bytes: (window) => window.bytes, most: AHEAD_BYTES });
  for await (const { memory, pieces, bytes } of filled) {
    for (const { of, bytes } of pieces) pass(of, bytes);
    await write(bytes, () => written(memory));
  }
  for (const memory of free) release(memory);
}

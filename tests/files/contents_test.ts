/** Files written from blocks, bytes at hand and streams, while the next are made. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { type Block, type Contents, writeContents } from "../../src/files/contents.ts";
import { writeBehind } from "../../src/files/write_behind.ts";

const MIB = 1 << 20;

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Bytes that differ from place to place and from part to part. */
function bytesOf(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 31 + seed * 7 + (i >> 9);
  return bytes;
}

/** A block that is ready after some time. */
const block = (bytes: Uint8Array, ms = 0): Block => ({
  bytes: bytes.length,
  fill: async (into) => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    into.set(bytes);
  },
});

async function* inPieces(bytes: Uint8Array, size: number) {
  for (let start = 0; start < bytes.length; start += size) {
    await Promise.resolve();
    yield bytes.subarray(start, start + size);
  }
}

async function written(all: readonly { readonly data: Contents }[]) {
  const path = await Deno.makeTempFile(), passed = all.map(() => 0);
  try {
    using file = await Deno.open(path, { write: true });
    await writeBehind(file, (write) =>
      writeContents(write, all, (of, { length }) => {
        passed[all.indexOf(of)] += length;
      }));
    return { bytes: await Deno.readFile(path), passed };
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("contents of every kind are written in order, whichever is ready first", async () => {
  const sizes = [3, 5 * MIB + 1, 0, 17 * MIB, 9, 12 * MIB, 7 * MIB, 4, 100_000];
  const parts = sizes.map((size, index) => bytesOf(index, size));
  const data = (part: Uint8Array, index: number): Contents => {
    if (index === 4) return part;
    if (index === 6) return inPieces(part, 777_777);
    const half = part.length >> 1;
    return [block(part.subarray(0, half), 30 - 3 * index), block(part.subarray(half))];
  };
  const all = parts.map((part, index) => ({ data: data(part, index) }));
  const { bytes, passed } = await written(all);
  assertEquals(passed, sizes);
  let at = 0;
  for (const part of parts) {
    assertEquals(sha256(bytes.subarray(at, at += part.length)), sha256(part));
  }
  assertEquals(bytes.length, at);
});

Deno.test("blocks are made ahead, but no more of them than 32 MiB", async () => {
  let made = 0, taken = 0, most = 0;
  const one = (): Block => ({
    bytes: 8 * MIB,
    fill: () => {
      most = Math.max(most, ++made - taken);
      return Promise.resolve();
    },
  });
  const write = async (bytes: Uint8Array, written?: () => void) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    taken += bytes.length / (8 * MIB);
    written?.();
  };
  await writeContents(write, [{ data: Array.from({ length: 40 }, one) }], () => {});
  assertEquals(taken, 40);
  assert(most > 2 && most <= 4, `${most} blocks`);
});

Deno.test("a block that fails is the error of the file", async () => {
  const failing: Block = { bytes: 4, fill: () => Promise.reject(new Error("lost")) };
  const data = [block(bytesOf(1, 20 * MIB)), failing, block(bytesOf(2, 8))];
  await assertRejects(() => written([{ data }]), Error, "lost");
});

Deno.test("an error of the disk ends what makes the bytes", async () => {
  const path = await Deno.makeTempFile();
  try {
    using file = await Deno.open(path, { read: true }); // not for writing
    let made = 0;
    const endless = async (write: (bytes: Uint8Array) => Promise<void>) => {
      for (;; made++) await write(new Uint8Array(2 * MIB));
    };
    await assertRejects(() => writeBehind(file, endless), Error, "os error");
    assert(made < 32, `${made} pieces`);
    const none = (write: (bytes: Uint8Array) => Promise<void>) => write(bytesOf(1, 10));
    await assertRejects(() => writeBehind(file, none), Error, "os error");
  } finally {
    await Deno.remove(path);
  }
});

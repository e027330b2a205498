/** Files that travel between the server and workers, whole or not at all. */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "../../packages/std_path.ts";
import { writeAtomically } from "../../files/atomic.ts";
import { ApiError } from "../api_error.ts";
import { ggufParts } from "../../files/gguf_path.ts";
import { JOURNAL_FILE, LOCK_FILE } from "../worker/protocol.ts";
import type { Traveller } from "./protocol.ts";

/** Hashes by path, size and time of change: weights are large, and the same for many jobs. */
const known = new Map<string, { readonly stamp: string; readonly sha256: string }>();
const MOST_KNOWN = 10_000;

/** Of a run's folder, what is its process's, or half written. */
export function staysBehind(name: string): boolean {
  return name.startsWith(".") || [JOURNAL_FILE, LOCK_FILE].includes(name) ||
    /\.(tmp|old)$/.test(name);
}

/** Reads all of it, unless it was read before and has not changed. */
export async function travellerOf(path: string, as: string): Promise<Traveller> {
  using file = await Deno.open(path);
  const { size: bytes, mtime, ino } = await file.stat(),
    stamp = `${bytes} ${mtime?.getTime()} ${ino}`;
  const before = known.get(path);
  if (before?.stamp === stamp) return { path: as, bytes, sha256: before.sha256 };
  const hash = createHash("sha256"), buffer = new Uint8Array(2 ** 20);
  for (let read; (read = await file.read(buffer)) !== null;) hash.update(buffer.subarray(0, read));
  const sha256 = hash.digest("hex");
  known.delete(path);
  known.set(path, { stamp, sha256 });
  if (known.size > MOST_KNOWN) known.delete(known.keys().next().value!);
  return { path: as, bytes, sha256 };
}

/** Every file below a folder, or a file with the other parts of its model, by its place. */
export async function filesBelow(
  path: string,
  skip: (place: string) => boolean = () => false,
): Promise<{ readonly path: string; readonly place: string }[]> {
  if (!(await Deno.stat(path)).isDirectory) {
    return ggufParts(path).map((each) => ({ path: each, place: basename(each) }));
  }
  const found: { path: string; place: string }[] = [];
  async function walk(folder: string, prefix: string): Promise<void> {
    for await (const { name, isDirectory, isFile, isSymlink } of Deno.readDir(folder)) {
      const place = prefix + name, inside = join(folder, name);
      if (skip(place)) continue;
      const target = isSymlink ? await Deno.stat(inside) : { isDirectory, isFile };
      if (target.isDirectory) await walk(inside, `${place}/`);
      else if (target.isFile) found.push({ path: inside, place });
    }
  }
  await walk(path, "");
  return found.sort((a, b) => a.place < b.place ? -1 : 1);
}

/**
 * Writes what comes to `path`, once all of it is there and has that hash. Throws an ApiError 400 for
 * anything else, and does not read what is too long to its end.
 */
export async function receive(
  pieces: AsyncIterable<Uint8Array>,
  path: string,
  { bytes, sha256 }: Pick<Traveller, "bytes" | "sha256">,
  onBytes: (count: number) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await writeAtomically(path, async (file) => {
    const hash = createHash("sha256");
    let received = 0;
    for await (const piece of pieces) {
      received += piece.length;
      if (received > bytes) break;
      await onBytes(piece.length);
      hash.update(piece);
      for (let rest = piece; rest.length;) rest = rest.subarray(await file.write(rest));
    }
    if (received === bytes && hash.digest("hex") === sha256) return;
    const amount = received > bytes ? "more than " : received < bytes ? `${received} of ` : "";
    throw new ApiError(400, {
      message: `${basename(path)} came with ${amount}${bytes} bytes, ` +
        `${amount ? "so not" : "but not"} with the SHA-256 ${sha256}: send it again`,
      code: "incomplete_body",
    });
  });
}

/** Of a place below a folder that someone else names: nothing above it. Throws an ApiError 400. */
export function safePlace(place: string): string {
  const parts = place.split("/");
  const isSafe = parts.every((part) => /^[^\\:\0]+$/.test(part) && part !== "." && part !== "..");
  if (isSafe) return place;
  throw new ApiError(400, {
    message: `no place of a file: ${JSON.stringify(place)}`,
    param: "path",
  });
}

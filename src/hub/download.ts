/** Downloads one file into the cache, resuming partial downloads and verifying hashes. */
import { createHash, type Hash } from "node:crypto";
import { dirname } from "../packages/std_path.ts";
import { UserError } from "../options/user_error.ts";
import { writeAll } from "../files/atomic.ts";
import { formatBytes } from "../text.ts";
import { freeBytes, statOf } from "../files/stat.ts";
import type { HubCache, HubFile } from "./cache.ts";
import { type HubClient, sleep } from "./client.ts";

const LOCK_POLL_MS = 200;
const CHUNK_BYTES = 1 << 20;

/** A completely received file with a wrong hash. */
class Damaged extends Error {}

/**
 * Downloads a file into a snapshot. The bytes go to `<blob>.incomplete`, which a later call
 * resumes, and get the blob's name once their hash is verified: a partial file is never mistaken
 * for a complete one. `onBytes` is called with the bytes downloaded so far.
 */
export async function downloadBlob(
  client: HubClient,
  cache: HubCache,
  commit: string,
  file: HubFile,
  onBytes: (received: number) => void,
): Promise<void> {
  const blob = cache.blob(file), { signal } = client.options;
  await Deno.mkdir(dirname(blob), { recursive: true });
  // Other processes, including Python's, wait for one that is already downloading.
  using _lock = await takeLock(cache.lock(file), signal);
  const there = await statOf(blob);
  if (there?.size !== file.size) await receiveWhole(client, commit, file, blob, onBytes);
  await cache.link(commit, file);
  onBytes(file.size);
}

/** Retries until the file is complete and verified, or no retry can help. */
async function receiveWhole(
  client: HubClient,
  commit: string,
  file: HubFile,
  blob: string,
  onBytes: (received: number) => void,
): Promise<void> {
  let received = 0, best = -1, damaged = 0, { xet } = client.environment;
  const progress = (bytes: number) => onBytes(received = bytes);
  await client.retry(async () => {
    try {
      await receive(client, commit, file, blob, xet, progress);
    } catch (error) {
      if (error instanceof Damaged && ++damaged > 1) throw new UserError(error.message);
      throw error;
    }
  }, {
    advanced: () => {
      const advanced = received > best && received < file.size;
      best = Math.max(best, received);
      // If the hub's own protocol makes no progress, try plain HTTP.
      if (!advanced) xet = false;
      return advanced;
    },
  });
}

async function receive(
  client: HubClient,
  commit: string,
  file: HubFile,
  blob: string,
  xet: boolean,
  onBytes: (received: number) => void,
): Promise<void> {
  const incomplete = `${blob}.incomplete`;
  const output = await Deno.open(incomplete, { read: true, write: true, create: true });
  try {
    if ((await output.stat()).size > file.size) await output.truncate(0);
    const hash = hashOf(file);
    let received = await hashStart(output, hash);
    onBytes(received);
    if (received < file.size) {
      for await (const bytes of client.read(commit, file, received, xet)) {
        received += bytes.length;
        if (received > file.size) break;
        hash?.update(bytes);
        await writeAll(output, bytes);
        onBytes(received);
      }
    }
    if (received < file.size) {
      throw new Error(`${file.path}: cut off after ${received} of ${file.size} bytes`);
    }
    if (received > file.size || (hash && hash.digest("hex") !== (file.sha256 ?? file.oid))) {
      await output.truncate(0); // do not resume from wrong data
      throw new Damaged(`${file.path}: the download does not match the hash that the hub lists`);
    }
    await output.sync();
  } finally {
    output.close();
  }
  await Deno.rename(incomplete, blob);
}

/** Large files are listed with their SHA-256, small ones with git's hash. */
function hashOf({ sha256, xetHash, oid, size }: HubFile): Hash | undefined {
  if (sha256) return createHash("sha256");
  // For an LFS file, git's hash is that of the pointer.
  if (xetHash || oid.length !== 40) return undefined;
  return createHash("sha1").update(`blob ${size}\0`);
}

/** Hashes the part left by an earlier attempt; returns its length. */
async function hashStart(file: Deno.FsFile, hash: Hash | undefined): Promise<number> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  let length = 0;
  for (let count; (count = await file.read(buffer)) !== null; length += count) {
    hash?.update(buffer.subarray(0, count));
  }
  return length;
}

async function takeLock(path: string, signal?: AbortSignal): Promise<Disposable> {
  await Deno.mkdir(dirname(path), { recursive: true });
  const file = await Deno.open(path, { write: true, create: true });
  try {
    while (!(await file.tryLock(true))) await sleep(LOCK_POLL_MS, signal);
  } catch (error) {
    file.close();
    throw error;
  }
  return { [Symbol.dispose]: () => file.close() }; // also unlocks it
}

/** Refuses a download that cannot fit, before its first byte. */
export async function assertSpace(folder: string, bytes: number, what: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const free = await freeBytes(folder);
  if (free === undefined || bytes <= free) return;
  throw new UserError(
    `${what}: ${formatBytes(bytes)} to download, ${formatBytes(free)} free at ${folder}`,
    "free some space, or set HF_HOME to another folder",
  );
}

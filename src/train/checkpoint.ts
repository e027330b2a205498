/**
 * Writes checkpoints: everything goes to a temporary folder, which is synced and renamed; every
 * entry has a checksum, so that corruption is detected before training resumes.
 *
 * Only one run may write to an output folder at a time: see start.ts.
 *
 * @module
 */
import { join } from "../packages/std_path.ts";
import { assertSpace, syncFolder, writeAll } from "../files/atomic.ts";
import { type Contents, writeContents } from "../files/contents.ts";
import { explainWriteError } from "../files/disk_error.ts";
import { namesIn } from "../files/names_in.ts";
import { writeBehind } from "../files/write_behind.ts";
import { option, phrase } from "../options/phrase.ts";
import { Crc32 } from "../formats/checkpoint/checksum.ts";
import {
  ENTRIES_FILE,
  type EntryRecord,
  FORMAT,
  formatManifest,
  type Manifest,
  MANIFEST_FILE,
} from "../formats/checkpoint/manifest.ts";
import { checkpointFolder, checkpointSteps } from "../formats/checkpoint/reader.ts";

export interface CheckpointEntry {
  readonly name: string;
  readonly data: Contents;
}

export interface CheckpointContent {
  readonly step: number;
  /** Of all entries, if known: a disk without the room for them is then not written to. */
  readonly bytes?: number;
  readonly entries: readonly CheckpointEntry[];
  /** Anything JSON can hold. */
  readonly state: unknown;
  /** Called with the bytes of entries that are written so far. */
  readonly onProgress?: (written: number) => void;
  /** Writes files of its own into the folder: those that lie beside a model's weights. */
  readonly beside?: (folder: string) => Promise<void>;
}

/** Being written, or being replaced, when a process was killed. */
const LEFTOVER = /^(checkpoint-\d+)\.(tmp|old)$/;

const WRITE_ERROR = {
  lost: "; earlier checkpoints are untouched",
  hint: phrase`free some space, or keep fewer with ${option("keepCheckpoints")}; then continue from
    the last one with ${option("resume", "auto")}`,
};

/**
 * Writes `output`/checkpoint-<step> and returns its path. On failure earlier checkpoints are
 * untouched and nothing else is left behind. Throws a {@link UserError} when the disk is full.
 */
export async function writeCheckpoint(output: string, content: CheckpointContent): Promise<string> {
  const folder = checkpointFolder(output, content.step), temporary = `${folder}.tmp`;
  try {
    await recoverCheckpoints(output);
    await Deno.mkdir(temporary, { recursive: true });
    await assertSpace(folder, content.bytes ?? 0, WRITE_ERROR);
    await writeEntries(temporary, content);
    await content.beside?.(temporary);
    await syncFolder(temporary);
    await replaceFolder(temporary, folder);
    await syncFolder(output);
    return folder;
  } catch (error) {
    await removeIfThere(temporary).catch(() => {}); // report the first error
    throw explainWriteError(error, folder, WRITE_ERROR);
  }
}

/** A folder cannot be renamed over another: what it replaces is whole under one name at any time. */
export async function replaceFolder(from: string, to: string): Promise<void> {
  const old = `${to}.old`;
  await Deno.rename(to, old).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.rename(from, to);
  await removeIfThere(old);
}

/**
 * Removes all but the newest `keep` checkpoints, and that of the step `spare`; returns the removed
 * paths. With `current`, the step that the run has just saved, later ones are removed first: they
 * are damaged, or of a course that the run has left by resuming from before them.
 */
export async function pruneCheckpoints(
  output: string,
  keep: number,
  { spare, current = Infinity }: { readonly spare?: number; readonly current?: number } = {},
): Promise<string[]> {
  const steps = await checkpointSteps(output);
  const own = steps.filter((step) => step <= current);
  const older = own.slice(0, Math.max(0, own.length - keep)).filter((step) => step !== spare);
  const removed = [...steps.filter((step) => step > current), ...older]
    .map((step) => checkpointFolder(output, step));
  for (const path of removed) await Deno.remove(path, { recursive: true });
  return removed;
}

/**
 * Cleans up after a process that was killed while saving: a checkpoint that was about to be replaced
 * stays, unless its successor is in place; one that was being written is removed.
 */
export async function recoverCheckpoints(output: string): Promise<void> {
  const names = await namesIn(output);
  for (const name of names) {
    const [, folder, kind] = name.match(LEFTOVER) ?? [];
    if (!folder) continue;
    const path = join(output, name);
    if (kind === "old" && !names.includes(folder)) await Deno.rename(path, join(output, folder));
    else await removeIfThere(path);
  }
}

async function writeEntries(
  folder: string,
  { step, entries, state, onProgress }: CheckpointContent,
) {
  const sums = new Map(entries.map(({ name }) => [name, { bytes: 0, crc: new Crc32() }]));
  if (sums.size !== entries.length) throw new Error("checkpoint: two entries have the same name");
  let written = 0;
  using file = await Deno.create(join(folder, ENTRIES_FILE));
  await writeBehind(file, (write) =>
    writeContents(write, entries, ({ name }, bytes) => {
      const sum = sums.get(name)!;
      sum.bytes += bytes.length;
      sum.crc.update(bytes);
      onProgress?.(written += bytes.length);
    }));
  await file.sync();
  let offset = 0;
  const records = [...sums].map(([name, { bytes, crc }]): EntryRecord => {
    offset += bytes;
    return { name, offset: offset - bytes, bytes, crc32: crc.digest() };
  });
  using manifest = await Deno.create(join(folder, MANIFEST_FILE));
  // Round-trip through JSON first: the checksum must cover exactly what a reader will parse.
  const content: Manifest = JSON.parse(
    JSON.stringify({ format: FORMAT, step, bytes: offset, entries: records, state }),
  );
  await writeAll(manifest, new TextEncoder().encode(formatManifest(content)));
  await manifest.sync();
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

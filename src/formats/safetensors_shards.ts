/** A model's weights as transformers saves them: one file, or shards and their index. */
import { join } from "../packages/std_path.ts";
import { UserError } from "../options/user_error.ts";
import { writeJson } from "../files/atomic.ts";
import { namesIn } from "../files/names_in.ts";
import { ELEMENT_BYTES } from "./element_types.ts";
import { type SafetensorsEntry, writeSafetensors } from "./safetensors.ts";
import { elementsOf } from "../numbers/layout.ts";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const SHARD = /^model-\d{5}-of-\d{5}\.safetensors$/;
/** Suffix of files being written, so that no reader takes them for the weights. */
const UNFINISHED = ".unfinished";

export interface ShardOptions {
  /** Default 5 GB, as in the hub's libraries. A larger tensor gets its own shard. */
  readonly maxShardBytes?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Called with the bytes of tensors that are written, and with all that will be. */
  readonly onProgress?: (written: number, bytes: number) => void;
}

/**
 * Writes `model.safetensors`, or shards and their index if it would be too large. Entries fill the
 * shards in the given order.
 *
 * An earlier save in the folder stays intact until the new one is complete; its files are then
 * removed. Only if old and new shards have the same names is there a moment without an index:
 * better a folder that is refused than one that mixes two models.
 */
export async function writeSafetensorsSharded(
  folder: string,
  entries: readonly SafetensorsEntry[],
  { maxShardBytes = 5e9, metadata, onProgress }: ShardOptions = {},
): Promise<void> {
  assertDistinct(folder, entries);
  const all = entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
  let written = 0;
  const onWrite = (bytes: number) => onProgress?.(written += bytes, all);
  const shards = distribute(entries, maxShardBytes);
  const name = (at: number) => `model-${number(at + 1)}-of-${number(shards.length)}.safetensors`;
  const names = shards.length === 1 ? [SINGLE] : shards.map((_, at) => name(at));
  await removeAll(folder, (each) => each.endsWith(UNFINISHED));
  try {
    for (const [at, shard] of shards.entries()) {
      await writeSafetensors(join(folder, names[at] + UNFINISHED), shard, metadata, onWrite);
    }
  } catch (error) {
    await removeAll(folder, (each) => each.endsWith(UNFINISHED));
    throw error;
  }
  const before = await namesIn(folder);
  const collide = shards.length > 1 && names.some((each) => before.includes(each));
  if (collide) await removeAll(folder, (each) => each === INDEX);
  for (const each of names) await Deno.rename(join(folder, each + UNFINISHED), join(folder, each));
  if (shards.length > 1) await writeJson(join(folder, INDEX), indexOf(shards, names));
  // Remove others: readers prefer a single file to an index, and an index to unlisted shards.
  const kept = shards.length > 1 ? [...names, INDEX] : names;
  const ofModels = (each: string) => each === SINGLE || each === INDEX || SHARD.test(each);
  await removeAll(folder, (each) => ofModels(each) && !kept.includes(each));
}

/** Checks across shards too, where one tensor would hide the other. */
function assertDistinct(folder: string, entries: readonly SafetensorsEntry[]): void {
  const seen = new Set<string>();
  for (const { name } of entries) {
    if (seen.has(name)) throw new UserError(`${folder}: two tensors are named ${name}`);
    seen.add(name);
  }
}

/** Distributes in order; a shard ends before the tensor that would exceed its limit. */
function distribute(
  entries: readonly SafetensorsEntry[],
  maxShardBytes: number,
): SafetensorsEntry[][] {
  const shards: SafetensorsEntry[][] = [[]];
  let bytes = 0;
  for (const entry of entries) {
    if (shards.at(-1)!.length > 0 && bytes + bytesOf(entry) > maxShardBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(entry);
    bytes += bytesOf(entry);
  }
  return shards;
}

function indexOf(shards: readonly SafetensorsEntry[][], names: readonly string[]) {
  const all = shards.flatMap((shard, at) => shard.map((entry) => ({ entry, file: names[at] })))
    .sort((a, b) => a.entry.name < b.entry.name ? -1 : 1);
  const sum = (of: (entry: SafetensorsEntry) => number) =>
    all.reduce((total, { entry }) => total + of(entry), 0);
  return {
    metadata: { total_parameters: sum(elementsOf), total_size: sum(bytesOf) },
    weight_map: Object.fromEntries(all.map(({ entry, file }) => [entry.name, file])),
  };
}

function bytesOf(entry: SafetensorsEntry): number {
  return elementsOf(entry) * ELEMENT_BYTES[entry.dtype];
}

function number(value: number): string {
  return String(value).padStart(5, "0");
}

async function removeAll(folder: string, chosen: (name: string) => boolean): Promise<void> {
  for (const name of (await namesIn(folder)).filter(chosen)) await Deno.remove(join(folder, name));
}

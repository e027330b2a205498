/** Finds the models in a folder. Names come from the disk, never from a request. */
import { basename, join, SEPARATOR } from "../../packages/std_path.ts";
import { type SavedFolder, savedFolder } from "./saved_folder.ts";
import { ggufModels, ggufName, ggufParts } from "../../files/gguf_path.ts";

export interface FoundModel {
  /**
   * `llama3`, or `org/llama3` one folder down; of `llama3.gguf` or `llama3-00001-of-00002.gguf`
   * without the rest.
   */
  readonly name: string;
  /** A folder, or a GGUF file: of a model in several, the first. */
  readonly path: string;
  /** Folder of an adapter, of which `path` is the base. */
  readonly adapter?: string;
  /** What is read besides: the weights that a checkpoint does not hold. */
  readonly reads?: readonly string[];
  /** Unix seconds. */
  readonly createdAt: number;
}

/** A folder of a run, a checkpoint or an adapter. */
interface Saved extends Pick<FoundModel, "name" | "createdAt"> {
  readonly saved: SavedFolder;
}

/**
 * Folders with a config.json, GGUF models, and what runs have saved (of a run its model, or else its
 * newest checkpoint; adapters of these models), in the folder and its sub-folders, by name. Excludes
 * whatever is, or contains, a symbolic link out of the folder, or cannot be read. A missing folder
 * has no models.
 */
export async function scanModels(folder: string): Promise<FoundModel[]> {
  const root = await Deno.realPath(folder).catch(() => undefined);
  if (root === undefined) return [];
  const found = new Map<string, FoundModel>(), saved: Saved[] = [];
  for (const model of await scan(root, { folder: root, prefix: "", deeper: true }, saved)) {
    // If a folder and a file have the same name, the file keeps its extension.
    const name = found.has(model.name) ? basename(model.path) : model.name;
    found.set(name, { ...model, name });
  }
  // An adapter's base may be what another run has saved.
  const [models, adapters] = [false, true]
    .map((isAdapter) => saved.filter(({ saved }) => (saved.adapter !== undefined) === isAdapter));
  for (const each of [...models, ...adapters]) {
    const model = await openedAs(root, each, found);
    if (model) found.set(each.name, model);
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Undefined if some of what is opened is outside of the root, or no model of it. */
async function openedAs(
  root: string,
  { saved: { model, adapter, base }, ...named }: Saved,
  known: ReadonlyMap<string, FoundModel>,
): Promise<FoundModel | undefined> {
  const real = (path: string | undefined) =>
    path === undefined ? undefined : closedWithin(root, path);
  if (adapter !== undefined) {
    const path = await real(base), own = await real(adapter);
    const isBase = (each: FoundModel) => !each.adapter && [each.path, each.name].includes(base!);
    const under = [...known.values()].find((each) => each.path === path || isBase(each));
    return under && own
      ? { ...named, path: under.path, adapter: own, reads: under.reads }
      : undefined;
  }
  const path = await real(model), rest = await real(base);
  if (!path || (base !== undefined && !rest)) return undefined;
  return { ...named, path, ...(rest && { reads: [rest] }) };
}

/** A place to look for models in. */
interface Place {
  readonly folder: string;
  readonly prefix: string;
  readonly deeper: boolean;
}

/** Adds to `saved` what is left to be looked at when all models are known. */
async function scan(
  root: string,
  { folder, prefix, deeper }: Place,
  saved: Saved[],
): Promise<FoundModel[]> {
  const folders: FoundModel[] = [], files: FoundModel[] = [];
  const names = (await entriesOf(folder)).map(({ name }) => name)
    .filter((name) => !name.startsWith("."));
  const models = ggufModels(names);
  for (const entry of names) {
    const path = await within(root, join(folder, entry));
    const info = path && await Deno.stat(path).catch(() => undefined);
    if (!info) continue;
    const name = prefix + entry;
    if (info.isFile && models.includes(entry)) {
      // By the name that it has here, which a link's target need not have.
      const file = join(folder, entry);
      if (await partsWithin(root, file)) {
        files.push({ name: ggufName(name), path: file, createdAt: secondsOf(info) });
      }
    } else if (info.isDirectory) {
      const config = await Deno.stat(join(path, "config.json")).catch(() => undefined);
      if (config) {
        if (await isClosed(root, path)) folders.push({ name, path, createdAt: secondsOf(config) });
        continue;
      }
      const found = await savedFolder(path);
      if (found) saved.push({ name, createdAt: secondsOf(info), saved: found });
      if (deeper) {
        const place = { folder: path, prefix: `${name}/`, deeper: false };
        folders.push(...await scan(root, place, saved));
      }
    }
  }
  return [...folders, ...files];
}

/** Whether those files of a GGUF model that exist are within the root. */
async function partsWithin(root: string, path: string): Promise<boolean> {
  for (const part of ggufParts(path)) {
    const there = await Deno.lstat(part).then(() => true, () => false);
    if (there && !await within(root, part)) return false;
  }
  return true;
}

/** Whether every file of the folder is within the root. */
async function isClosed(root: string, folder: string): Promise<boolean> {
  for (const { name, isSymlink } of await entriesOf(folder)) {
    if (isSymlink && !await within(root, join(folder, name))) return false;
  }
  return true;
}

/** The folder's, or file's, path, if all of it is within the root. */
async function closedWithin(root: string, path: string): Promise<string | undefined> {
  const real = await within(root, path);
  return real !== undefined && await isClosed(root, real) ? real : undefined;
}

/** The path with symbolic links resolved; undefined if it leaves the root or does not exist. */
async function within(root: string, path: string): Promise<string | undefined> {
  const real = await Deno.realPath(path).catch(() => undefined);
  const inside = root.endsWith(SEPARATOR) ? root : root + SEPARATOR;
  return real?.startsWith(inside) ? real : undefined;
}

async function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  return await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
}

function secondsOf({ mtime }: Deno.FileInfo): number {
  return Math.floor((mtime?.getTime() ?? 0) / 1000);
}

/** Finds the models in a folder. Names come from the disk, never from a request. */
import { basename, join, SEPARATOR } from "@std/path";

export interface FoundModel {
  /** `llama3`, or `org/llama3` one folder down; `llama3.gguf` without the extension. */
  readonly name: string;
  /** With symbolic links resolved. */
  readonly path: string;
  /** Unix seconds. */
  readonly createdAt: number;
}

const GGUF = /\.gguf$/i;

/**
 * Folders with a config.json, and .gguf files, in the folder and its sub-folders, by name. Excludes
 * whatever is, or contains, a symbolic link out of the folder, or cannot be read. A missing folder
 * has no models.
 */
export async function scanModels(folder: string): Promise<FoundModel[]> {
  const root = await Deno.realPath(folder).catch(() => undefined);
  if (root === undefined) return [];
  const found = new Map<string, FoundModel>();
  for (const model of await scan(root, root, "", true)) {
    // If a folder and a file have the same name, the file keeps its extension.
    const name = found.has(model.name) ? basename(model.path) : model.name;
    found.set(name, { ...model, name });
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function scan(
  root: string,
  folder: string,
  prefix: string,
  deeper: boolean,
): Promise<FoundModel[]> {
  const folders: FoundModel[] = [], files: FoundModel[] = [];
  for (const entry of await entriesOf(folder)) {
    if (entry.name.startsWith(".")) continue;
    const path = await within(root, join(folder, entry.name));
    const info = path && await Deno.stat(path).catch(() => undefined);
    if (!info) continue;
    const name = prefix + entry.name;
    if (info.isFile && GGUF.test(name)) {
      files.push({ name: name.replace(GGUF, ""), path, createdAt: secondsOf(info) });
    } else if (info.isDirectory) {
      const config = await Deno.stat(join(path, "config.json")).catch(() => undefined);
      if (config) {
        if (await isClosed(root, path)) folders.push({ name, path, createdAt: secondsOf(config) });
      } else if (deeper) {
        folders.push(...await scan(root, path, `${name}/`, false));
      }
    }
  }
  return [...folders, ...files];
}

/** Whether every file of the folder is within the root. */
async function isClosed(root: string, folder: string): Promise<boolean> {
  for (const { name, isSymlink } of await entriesOf(folder)) {
    if (isSymlink && !await within(root, join(folder, name))) return false;
  }
  return true;
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

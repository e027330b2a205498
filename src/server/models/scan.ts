/** The models that lie in a folder. Their names come from the disk, never from a request. */
import { basename, join, SEPARATOR } from "@std/path";

export interface FoundModel {
  /** `llama3`, or `org/llama3` one folder down; of `llama3.gguf` without the ending. */
  readonly name: string;
  /** Without symbolic links in it. */
  readonly path: string;
  /** Unix seconds. */
  readonly createdAt: number;
}

const GGUF = /\.gguf$/i;

/**
 * Folders with a config.json and .gguf files, in the folder and in its sub-folders, by name. One
 * that is, or holds, a symbolic link to anywhere else than into the folder is left out, and so is
 * what cannot be read. No folder: no models.
 */
export async function scanModels(folder: string): Promise<FoundModel[]> {
  const root = await Deno.realPath(folder).catch(() => undefined);
  if (root === undefined) return [];
  const found = new Map<string, FoundModel>();
  for (const model of await scan(root, root, "", true)) {
    // Of a folder and a file of one name, the file is known by its full name.
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

/** Every file of the folder lies within the root. */
async function isClosed(root: string, folder: string): Promise<boolean> {
  for (const { name, isSymlink } of await entriesOf(folder)) {
    if (isSymlink && !await within(root, join(folder, name))) return false;
  }
  return true;
}

/** The path without symbolic links; undefined where it leads out of the root, or nowhere. */
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

/**
 * The cache folder shared with Hugging Face's Python libraries: downloads of either are used by
 * both.
 *
 *     models--org--name/refs/main                  the commit that a branch or tag pointed to
 *     models--org--name/trees/<commit>.json        the files of the commit
 *     models--org--name/snapshots/<commit>/<path>  links into blobs
 *     models--org--name/blobs/<hash>               the files, each once
 *     .locks/models--org--name/<hash>.lock         held while a blob is written
 */
import { getRepoFolderName, REGEX_COMMIT_HASH } from "../packages/huggingface_hub.ts";
import { dirname, join, relative } from "../packages/std_path.ts";
import { isObject } from "../files/fields.ts";
import { statOf } from "../files/stat.ts";
import { type HubSpec, isSafePath } from "./spec.ts";

/** A file as the hub lists it. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** Git's hash of it, or of its LFS pointer. */
  readonly oid: string;
  /** Only for large files. */
  readonly sha256?: string;
  readonly xetHash?: string;
}

/** SHA-256 for a large file, git's hash for a small one. */
export function blobName(file: HubFile): string {
  return file.sha256 ?? file.oid;
}

const TREE_VERSION = 1;

/** The cache of one model or data set. */
export class HubCache {
  readonly folder: string;
  readonly #locks: string;

  constructor(root: string, { type, name }: Pick<HubSpec, "type" | "name">) {
    const folder = getRepoFolderName({ type, name });
    this.folder = join(root, folder);
    this.#locks = join(root, ".locks", folder);
  }

  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  blob(file: HubFile): string {
    return join(this.folder, "blobs", blobName(file));
  }

  lock(file: HubFile): string {
    return join(this.#locks, `${blobName(file)}.lock`);
  }

  /** The commit of a revision when last looked up. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (REGEX_COMMIT_HASH.test(revision)) return revision;
    const path = join(this.folder, "refs", revision);
    const commit = (await Deno.readTextFile(path).catch(() => "")).trim();
    return REGEX_COMMIT_HASH.test(commit) ? commit : undefined;
  }

  async saveCommit(revision: string, commit: string): Promise<void> {
    if (revision === commit || await this.commitOf(revision) === commit) return;
    await writeWhole(join(this.folder, "refs", revision), commit);
  }

  /** The files of a commit, if ever looked up. */
  async readTree(commit: string): Promise<HubFile[] | undefined> {
    try {
      const json = JSON.parse(await Deno.readTextFile(this.#tree(commit)));
      if (json.format_version !== TREE_VERSION || !isObject(json.files)) return undefined;
      const files = Object.entries(json.files).map(([path, each]) => fileOf(path, each));
      return files.every((file) => file !== undefined) ? files : undefined;
    } catch {
      return undefined; // absent or truncated: look it up again
    }
  }

  async writeTree(commit: string, files: readonly HubFile[]): Promise<void> {
    const sorted = [...files].sort((a, b) => a.path < b.path ? -1 : 1);
    const entries = sorted.map(({ path, size, oid, sha256, xetHash }) => [path, {
      size,
      blob_id: oid,
      ...(sha256 && { lfs_sha256: sha256, lfs_size: size }),
      ...(xetHash && { xet_hash: xetHash }),
    }]);
    const json = { format_version: TREE_VERSION, files: Object.fromEntries(entries) };
    await writeWhole(this.#tree(commit), JSON.stringify(json, null, 1));
  }

  /** The files present in a snapshot, if there is no list of what it should contain. */
  async listSnapshot(commit: string): Promise<HubFile[]> {
    const root = this.snapshot(commit), files: HubFile[] = [];
    const visit = async (below: string) => {
      for await (const { name } of Deno.readDir(join(root, below))) {
        const path = below ? `${below}/${name}` : name;
        // Skip links whose blob is gone.
        const info = await statOf(join(root, path));
        if (info?.isDirectory) await visit(path);
        else if (info) files.push({ path, size: info.size, oid: "" });
      }
    };
    await visit("").catch(() => {}); // no such snapshot
    return files.sort((a, b) => a.path < b.path ? -1 : 1);
  }

  async has(commit: string, file: HubFile): Promise<boolean> {
    const info = await statOf(join(this.snapshot(commit), file.path));
    return info?.size === file.size;
  }

  /** Links a downloaded blob into a snapshot. */
  async link(commit: string, file: HubFile): Promise<void> {
    const path = join(this.snapshot(commit), file.path), blob = this.blob(file);
    await Deno.mkdir(dirname(path), { recursive: true });
    const temporary = temporaryOf(path);
    try {
      await Deno.symlink(relative(dirname(path), blob), temporary, { type: "file" });
    } catch {
      // Windows restricts symbolic links to administrators; a hard link works as well.
      await Deno.link(blob, temporary).catch(() => Deno.copyFile(blob, temporary));
    }
    await Deno.rename(temporary, path);
  }

  #tree(commit: string): string {
    return join(this.folder, "trees", `${commit}.json`);
  }
}

function fileOf(path: string, entry: unknown): HubFile | undefined {
  if (!isObject(entry) || !isSafePath(path)) return undefined;
  const { size, blob_id: oid, lfs_sha256: sha256, xet_hash: xetHash } = entry;
  if (typeof size !== "number" || !isHash(oid)) return undefined;
  return {
    path,
    size,
    oid,
    ...(isHash(sha256) && { sha256 }),
    ...(isHash(xetHash) && { xetHash }),
  };
}

/** Validates a hash, since hashes become file names. */
export function isHash(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{40,64}$/.test(value);
}

/** Writes a small file atomically. */
async function writeWhole(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  const temporary = temporaryOf(path);
  await Deno.writeTextFile(temporary, text);
  await Deno.rename(temporary, path);
}

/** A name unique to this call, across processes. */
function temporaryOf(path: string): string {
  return `${path}.${crypto.randomUUID()}.tmp`;
}

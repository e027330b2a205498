/** The data folder: used by one server at a time, private, and limited in size. */
import { statfs } from "node:fs/promises";
import { basename, join, resolve } from "../../packages/std_path.ts";
import { isThere } from "../../files/stat.ts";
import { option, phrase } from "../../options/phrase.ts";
import { UserError } from "../../options/user_error.ts";
import { storedEnding } from "../store/file_kinds.ts";
import { Reserve } from "../store/reserve.ts";
import type { FileRecord } from "../store/records.ts";
import type { Storage } from "../services.ts";

const FILE_ID = /^file-[A-Za-z0-9]{24}$/, JOB_ID = /^(ft|pt)job-[A-Za-z0-9]{24}$/;

/** Milliseconds for which a measurement of the folder is cached. */
const FRESH_MS = 5000;

/**
 * Bytes of the disk that files may not use, or that share of a small one: the database and the logs
 * of runs grow meanwhile.
 */
const MARGIN = 32 * 2 ** 20, MARGIN_SHARE = 1 / 8;

export interface DataFolderOptions {
  /** Maximum total bytes; by default the size of the disk. */
  readonly quota?: number;
}

export class DataFolder implements Storage {
  #walk: Promise<Measured> | undefined;
  /** Whether the walk in progress may have missed what a caller of `remeasure` knows. */
  #outdated = false;
  #measured: Measured | undefined;
  #measuredAt = 0;
  #accounted = 0;
  readonly #reserve: Reserve;

  private constructor(
    readonly path: string,
    readonly quota: number,
    readonly lock: Deno.FsFile,
  ) {
    this.#reserve = new Reserve(join(path, Reserve.NAME));
  }

  /**
   * Creates the folder if needed. Throws a {@link UserError} if it is not writable or in use by
   * another server.
   */
  static async open(folder: string, { quota = Infinity }: DataFolderOptions = {}) {
    await makeDataFolder(folder);
    const path = resolve(folder);
    const data = new DataFolder(path, quota, await takeLock(path));
    await data.#keepReserve(await diskOf(path));
    return data;
  }

  get database(): string {
    return databaseIn(this.path);
  }

  get filesFolder(): string {
    return join(this.path, "files");
  }

  filePath(file: Pick<FileRecord, "id" | "filename" | "ending">): string {
    return join(this.filesFolder, checked(file.id, FILE_ID) + storedEnding(file));
  }

  jobFolder(id: string): string {
    return join(this.path, "jobs", checked(id, JOB_ID));
  }

  async used(): Promise<number> {
    const { used } = await this.#measure();
    return Math.max(0, used + this.#accounted);
  }

  async free(): Promise<number> {
    const { used, diskLeft } = await this.#measure();
    const left = Math.min(this.quota - used, diskLeft);
    return Math.max(0, left - this.#accounted);
  }

  account(bytes: number): void {
    this.#accounted += bytes;
  }

  remeasure(): void {
    this.#measured = undefined;
    this.#outdated = this.#walk !== undefined;
  }

  /** Unlocks the folder; the system does the same when this process ends. */
  close(): void {
    this.lock.close();
  }

  /** Concurrent callers share one measurement. */
  async #measure(): Promise<Measured> {
    // Walks follow each other: each subtracts what was accounted for before it.
    while (this.#walk && this.#outdated) await this.#walk.catch(() => {});
    if (this.#walk) return await this.#walk;
    if (this.#measured && performance.now() - this.#measuredAt < FRESH_MS) return this.#measured;
    this.#measuredAt = performance.now();
    // Bytes accounted for during the measurement may be missing from it: keep them.
    const seen = this.#accounted;
    this.#walk = Promise.all([folderBytes(this.path), diskOf(this.path)])
      .then(async ([used, disk]) => {
        const measured = { used: used - this.#reserve.bytes, diskLeft: leftFor(disk) };
        await this.#keepReserve(disk);
        this.#accounted -= seen;
        return this.#measured = measured;
      })
      .finally(() => {
        this.#walk = undefined;
        if (this.#outdated) this.#measured = undefined;
        this.#outdated = false;
      });
    return await this.#walk;
  }

  /** Where the disk has room for more than that. */
  async #keepReserve(disk: Disk): Promise<void> {
    await this.#reserve.keep({ left: leftFor(disk), diskBytes: disk.bytes });
  }
}

interface Disk {
  readonly bytes: number;
  readonly free: number;
}

/** A system that cannot say is not limited by it. */
async function diskOf(path: string): Promise<Disk> {
  try {
    const { blocks, bavail, bsize } = await statfs(path);
    return { bytes: blocks * bsize, free: bavail * bsize };
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return { bytes: Infinity, free: Infinity };
  }
}

const leftFor = ({ bytes, free }: Disk) => free - Math.min(MARGIN, bytes * MARGIN_SHARE);

interface Measured {
  readonly used: number;
  readonly diskLeft: number;
}

/** Path of a data folder's database. */
const databaseIn = (folder: string) => join(resolve(folder), "server.db");

/**
 * Creates the folder with an empty database if needed, private to the user; returns the database's
 * path. Takes no lock, so that keys can be created while a server runs.
 */
export async function makeDataFolder(folder: string): Promise<string> {
  const database = databaseIn(folder);
  try {
    for (const each of ["", "files", "jobs"]) {
      await Deno.mkdir(join(resolve(folder), each), { recursive: true, mode: 0o700 });
    }
    // SQLite copies this file's mode to its companion files.
    (await Deno.open(database, { create: true, write: true, mode: 0o600 })).close();
    return database;
  } catch (error) {
    throw new UserError(`data folder ${resolve(folder)}: ${(error as Error).message}`);
  }
}

/** The database of a server's data folder. Throws a {@link UserError} if it is none; creates nothing. */
export async function findDatabase(folder: string): Promise<string> {
  const database = databaseIn(folder), path = resolve(folder);
  if (await isThere(database)) return database;
  throw new UserError(
    await isThere(path)
      ? `${path} is no server's data folder: it has no ${basename(database)}`
      : `data folder ${path}: does not exist`,
    phrase`name that of the server with ${option("dataFolder")}`,
  );
}

/** A system lock rather than a lock file, because it ends with its process. */
async function takeLock(path: string): Promise<Deno.FsFile> {
  const lock = await Deno.open(join(path, "server.lock"), {
    create: true,
    read: true,
    write: true,
    mode: 0o600,
  });
  if (await lock.tryLock(true)) return lock;
  lock.close();
  throw new UserError(
    `data folder ${path}: another server is using it`,
    phrase`stop it, or choose another folder with ${option("dataFolder")}`,
  );
}

function checked(id: string, shape: RegExp): string {
  if (shape.test(id)) return id;
  throw new TypeError(`no id of this server's: ${JSON.stringify(id)}`);
}

/**
 * Bytes of all files below that this user may see (a disk's own lost+found is not among them);
 * ignores files removed meanwhile and does not follow links.
 */
export async function folderBytes(folder: string): Promise<number> {
  const bytesOf = async ({ name, isDirectory, isFile }: Deno.DirEntry) => {
    const path = join(folder, name);
    return isDirectory ? await folderBytes(path) : isFile ? (await Deno.stat(path)).size : 0;
  };
  let bytes = 0;
  await unlessUnseen(async () => {
    for await (const entry of Deno.readDir(folder)) {
      await unlessUnseen(async () => void (bytes += await bytesOf(entry)));
    }
  });
  return bytes;
}

async function unlessUnseen(look: () => Promise<void>): Promise<void> {
  try {
    await look();
  } catch (error) {
    const unseen = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.PermissionDenied;
    if (!unseen) throw error;
  }
}

/** The data folder: used by one server at a time, private, and limited in size. */
import { statfs } from "node:fs/promises";
import { join, resolve } from "../../packages/std_path.ts";
import { option, phrase } from "../../options/phrase.ts";
import { UserError } from "../../options/user_error.ts";
import { storedEnding } from "../store/file_kinds.ts";
import type { FileRecord } from "../store/records.ts";
import type { Storage } from "../services.ts";

const FILE_ID = /^file-[A-Za-z0-9]{24}$/, JOB_ID = /^(ft|pt)job-[A-Za-z0-9]{24}$/;

/** Milliseconds for which a measurement of the folder is cached. */
const FRESH_MS = 5000;

/**
 * Disk space that files may not use, so that the database can still record that the disk is full.
 */
const DISK_RESERVE = 32 * 2 ** 20;

export interface DataFolderOptions {
  /** Maximum total bytes; by default the size of the disk. */
  readonly quota?: number;
}

export class DataFolder implements Storage {
  #walk: Promise<Measured> | undefined;
  #measured: Measured | undefined;
  #measuredAt = 0;
  #accounted = 0;

  private constructor(
    readonly path: string,
    readonly quota: number,
    readonly lock: Deno.FsFile,
  ) {}

  /**
   * Creates the folder if needed. Throws a {@link UserError} if it is not writable or in use by
   * another server.
   */
  static async open(folder: string, { quota = Infinity }: DataFolderOptions = {}) {
    await makeDataFolder(folder);
    const path = resolve(folder);
    return new DataFolder(path, quota, await takeLock(path));
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
    const left = Math.min(this.quota - used, diskLeft - DISK_RESERVE);
    return Math.max(0, left - this.#accounted);
  }

  account(bytes: number): void {
    this.#accounted += bytes;
  }

  remeasure(): void {
    this.#measured = undefined;
  }

  /** Unlocks the folder; the system does the same when this process ends. */
  close(): void {
    this.lock.close();
  }

  /** Concurrent callers share one measurement. */
  async #measure(): Promise<Measured> {
    if (this.#walk) return await this.#walk;
    if (this.#measured && performance.now() - this.#measuredAt < FRESH_MS) return this.#measured;
    this.#measuredAt = performance.now();
    // Bytes accounted for during the measurement may be missing from it: keep them.
    const seen = this.#accounted;
    this.#walk = Promise.all([folderBytes(this.path), statfs(this.path)])
      .then(([used, { bavail, bsize }]) => {
        this.#accounted -= seen;
        return this.#measured = { used, diskLeft: bavail * bsize };
      })
      .finally(() => this.#walk = undefined);
    return await this.#walk;
  }
}

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

/** Bytes of all files below; ignores files removed meanwhile and does not follow links. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  try {
    for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isDirectory) bytes += await folderBytes(path);
      else if (isFile) bytes += (await Deno.stat(path)).size;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return bytes;
}

/** The data folder: one server's at a time, private, and no larger than it may be. */
import { statfs } from "node:fs/promises";
import { join, resolve } from "@std/path";
import { option, phrase } from "../../options/phrase.ts";
import { UserError } from "../../options/user_error.ts";
import { storedEnding } from "../store/file_kinds.ts";
import type { FileRecord } from "../store/records.ts";
import type { Storage } from "../services.ts";

const FILE_ID = /^file-[A-Za-z0-9]{24}$/, JOB_ID = /^(ft|pt)job-[A-Za-z0-9]{24}$/;

/** A walk over thousands of files is not made for every request. */
const FRESH_MS = 5000;

/** What files may not take of the disk: the database must be able to write down that it is full. */
const DISK_RESERVE = 32 * 2 ** 20;

export interface DataFolderOptions {
  /** Bytes that everything in it may take; by default what the disk has. */
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
   * Makes the folder where there is none. Throws a {@link UserError} when it cannot be written to,
   * or when another server has it.
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

  filePath({ id, filename }: Pick<FileRecord, "id" | "filename">): string {
    return join(this.filesFolder, checked(id, FILE_ID) + storedEnding(filename));
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

  /** Gives the folder to the next server; the system does the same when this process ends. */
  close(): void {
    this.lock.close();
  }

  /** Those who ask while the folder is walked wait for the same walk. */
  async #measure(): Promise<Measured> {
    if (this.#walk) return await this.#walk;
    if (this.#measured && performance.now() - this.#measuredAt < FRESH_MS) return this.#measured;
    this.#measuredAt = performance.now();
    // What is accounted for while the walk goes on may be missing from it, and is kept.
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

/** Where the database of a data folder lies. */
const databaseIn = (folder: string) => join(resolve(folder), "server.db");

/**
 * Makes the folder with an empty database where there is none, for nobody else to read; returns the
 * database's path. Takes no lock: a key can be made while a server runs.
 */
export async function makeDataFolder(folder: string): Promise<string> {
  const database = databaseIn(folder);
  try {
    for (const each of ["", "files", "jobs"]) {
      await Deno.mkdir(join(resolve(folder), each), { recursive: true, mode: 0o700 });
    }
    // SQLite gives the files beside it the mode of this one.
    (await Deno.open(database, { create: true, write: true, mode: 0o600 })).close();
    return database;
  } catch (error) {
    throw new UserError(`data folder ${resolve(folder)}: ${(error as Error).message}`);
  }
}

/** A lock of the system's and not a file that is there or not: it ends with its process. */
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
    phrase`stop that one, or name another folder with ${option("dataFolder")}`,
  );
}

function checked(id: string, shape: RegExp): string {
  if (shape.test(id)) return id;
  throw new TypeError(`no id of this server's: ${JSON.stringify(id)}`);
}

/** Bytes of all files below; what goes away meanwhile counts nothing, links are not followed. */
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

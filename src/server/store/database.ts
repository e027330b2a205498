/** The connection to SQLite: how it is opened, and what happens where the disk cannot take a write. */
import { dirname, join } from "../../packages/std_path.ts";
import {
  DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementResultingChanges,
  type StatementSync,
} from "node:sqlite";
import { DiskError, DiskFullError } from "../../files/disk_error.ts";
import { Reserve } from "./reserve.ts";

/** A statement that changes the database. */
export interface Write {
  run(...values: SQLInputValue[]): StatementResultingChanges;
  get(...values: SQLInputValue[]): Record<string, SQLOutputValue> | undefined;
}

/** SQLite's primary result codes: https://www.sqlite.org/rescode.html */
const BUSY = 5, READONLY = 8, IOERR = 10, FULL = 13, CANTOPEN = 14;

/**
 * A write that the disk has no room for is tried once more after the reserve was given up for it.
 * What fails for good is a {@link DiskError}, and has changed nothing.
 */
export class Database {
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  /** Called once the transaction in progress is committed. */
  #committed: (() => void)[] = [];

  private constructor(
    readonly path: string,
    readonly reserve: Pick<Reserve, "release">,
    readonly sqlite: DatabaseSync,
  ) {
    this.#begin = sqlite.prepare("BEGIN IMMEDIATE");
    this.#commit = sqlite.prepare("COMMIT");
    this.#rollback = sqlite.prepare("ROLLBACK");
  }

  /**
   * Nothing is written to an existing database. If the disk has no room for SQLite's `-shm` file,
   * which processes share, the database is this process's alone until it is closed.
   */
  static open(path: string): Database {
    const reserve = new Reserve(join(dirname(path), Reserve.NAME));
    const open = (locking: "NORMAL" | "EXCLUSIVE") =>
      new Database(path, reserve, connect(path, locking));
    const attempts = [
      () => open("NORMAL"),
      () => {
        reserve.release();
        return open("NORMAL");
      },
    ];
    for (const attempt of attempts) {
      try {
        return attempt();
      } catch (error) {
        if (!isDiskFault(error)) throw explained(error, path);
      }
    }
    try {
      return open("EXCLUSIVE");
    } catch (error) {
      throw explained(error, path);
    }
  }

  /**
   * A statement that only reads. A limit is written `LIMIT ? + 0`: SQLite plans for the value of a
   * bare parameter there, and so compiles the statement again whenever that is bound, which takes
   * several times as long as a lookup.
   */
  prepare(sql: string): StatementSync {
    return this.sqlite.prepare(sql);
  }

  prepareWrite(sql: string): Write {
    const statement = this.sqlite.prepare(sql);
    return {
      run: (...values) => this.#write(() => statement.run(...values)),
      // To the end: after one row, what makes the commit fail would go unnoticed.
      get: (...values) => this.#write(() => statement.all(...values).at(0)),
    };
  }

  /** See {@link Store.transaction}. */
  transaction<T>(fn: () => T): T {
    if (this.sqlite.isTransaction) return fn();
    const result = this.#write(() => this.#attempt(fn));
    for (const listener of this.#committed.splice(0)) listener();
    return result;
  }

  /** Calls `fn` once what is being written is committed: now, outside a transaction. */
  afterCommit(fn: () => void): void {
    if (this.sqlite.isTransaction) this.#committed.push(fn);
    else fn();
  }

  close(): void {
    if (this.sqlite.isOpen) this.sqlite.close();
  }

  #write<T>(write: () => T): T {
    // Within a transaction all of it has to be tried again.
    if (this.sqlite.isTransaction) return write();
    try {
      return write();
    } catch (error) {
      if (!isDiskFault(error) || !this.reserve.release()) throw explained(error, this.path);
    }
    try {
      return write();
    } catch (error) {
      throw explained(error, this.path);
    }
  }

  #attempt<T>(fn: () => T): T {
    this.#committed = [];
    this.#begin.run();
    try {
      const result = fn();
      this.#commit.run();
      return result;
    } catch (error) {
      this.#committed = [];
      // After a fault of the disk SQLite has rolled back by itself.
      if (this.sqlite.isTransaction) this.#rollback.run();
      throw error;
    }
  }
}

function connect(path: string, locking: "NORMAL" | "EXCLUSIVE"): DatabaseSync {
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: true });
  const pragma = (setting: string) => void db.prepare(`PRAGMA ${setting}`).all();
  try {
    pragma("busy_timeout = 5000"); // another process makes a key meanwhile
    pragma(`locking_mode = ${locking}`);
    pragma("journal_mode = WAL"); // readers and the writer do not wait for each other
    pragma("synchronous = NORMAL"); // see wal_sync.ts
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The primary code of SQLite's error; undefined for other errors. */
function codeOf(error: unknown): number | undefined {
  const { errcode } = (error ?? {}) as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}

function isDiskFault(error: unknown): boolean {
  return [READONLY, IOERR, FULL, CANTOPEN].includes(codeOf(error)!);
}

/** Faults that an administrator can mend, in words; others are unchanged. */
function explained(error: unknown, path: string): unknown {
  const { message } = error as Error, code = codeOf(error);
  if (code === FULL) {
    return new DiskFullError(
      `${path} cannot be written: its disk is full`,
      "delete files or models, or make room on the disk",
    );
  }
  if (code === BUSY) {
    return new DiskError(
      `${path} is locked by another process`,
      "a server that was started on a full disk locks it: make room, then restart that server",
    );
  }
  return isDiskFault(error) ? new DiskError(`${path} cannot be written: ${message}`) : error;
}

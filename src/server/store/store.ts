/** The server's state, in one SQLite database. */
import { DatabaseSync } from "node:sqlite";
import { Checkpoints } from "./checkpoints.ts";
import { Events } from "./events.ts";
import { Files } from "./files.ts";
import { JobTable } from "./jobs.ts";
import { Keys } from "./keys.ts";
import { migrate } from "./schema.ts";
import { WalSync } from "./wal_sync.ts";

/**
 * All calls are synchronous and take microseconds: prepared statements over indices, and commits
 * that do not wait for the disk. A commit survives a crash of the process; await `sync` before
 * reporting something that must also survive a power failure.
 */
export class Store {
  readonly files: Files;
  readonly jobs: JobTable;
  readonly checkpoints: Checkpoints;
  readonly events: Events;
  readonly keys: Keys;
  readonly #db: DatabaseSync;
  readonly #wal: WalSync;

  private constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#wal = new WalSync(path);
    this.files = new Files(db);
    this.jobs = new JobTable(db);
    this.checkpoints = new Checkpoints(db);
    this.events = new Events(db);
    this.keys = new Keys(db);
  }

  /** Creates the database if needed. `:memory:` for a temporary one. */
  static open(path: string): Store {
    const db = new DatabaseSync(path, { enableForeignKeyConstraints: true });
    try {
      db.exec(`
        PRAGMA busy_timeout = 5000; -- another process makes a key meanwhile
        PRAGMA journal_mode = WAL; -- readers and the writer do not wait for each other
        PRAGMA synchronous = NORMAL; -- see wal_sync.ts`);
      migrate(db, path);
      return new Store(db, path);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /**
   * Commits all that `fn` writes, or nothing if it throws. Nested transactions join the outer one.
   */
  transaction<T>(fn: () => T): T {
    if (this.#db.isTransaction) return fn();
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = fn();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  /** Resolves when everything written before this call would survive a power failure. */
  sync(): Promise<void> {
    return this.#wal.sync();
  }

  /** Idempotent. */
  close(): void {
    this.#wal.close();
    if (this.#db.isOpen) this.#db.close();
  }
}

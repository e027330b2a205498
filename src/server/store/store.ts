/** The server's state, in one SQLite database. */
import { Checkpoints } from "./checkpoints.ts";
import { Database } from "./database.ts";
import { Events } from "./events.ts";
import { Files } from "./files.ts";
import { Held } from "./held.ts";
import { JobTable } from "./jobs.ts";
import { Keys } from "./keys.ts";
import { migrate } from "./schema.ts";
import { WalSync } from "./wal_sync.ts";

/** Is called with a fault that no caller can be given: that of a write which was {@link Held}. */
export type StoreFault = Held["onFault"];

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
  /** Writes that wait for the disk. */
  readonly held: Held;
  readonly #db: Database;
  readonly #wal: WalSync;

  private constructor(db: Database, onFault: StoreFault) {
    this.#db = db;
    this.#wal = new WalSync(db.path);
    this.held = new Held((fn) => this.transaction(fn), onFault);
    this.files = new Files(db, this.held);
    this.jobs = new JobTable(db, this.held);
    this.checkpoints = new Checkpoints(db);
    this.events = new Events(db);
    this.keys = new Keys(db);
  }

  /** Creates the database if needed. `:memory:` for a temporary one. */
  static open(path: string, onFault?: StoreFault): Store {
    return Store.over(Database.open(path), onFault);
  }

  /** Takes the connection over: {@link close} closes it. */
  static over(db: Database, onFault: StoreFault = console.error): Store {
    try {
      migrate(db);
      return new Store(db, onFault);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /**
   * Commits all that `fn` writes, or nothing if it throws. Nested transactions join the outer one.
   * `fn` is called again if the disk was full and the reserve could be given up for it.
   */
  transaction<T>(fn: () => T): T {
    return this.#db.transaction(fn);
  }

  /** Calls `fn` once what is being written is committed: now, outside a transaction. */
  afterCommit(fn: () => void): void {
    this.#db.afterCommit(fn);
  }

  /** Resolves when everything written before this call would survive a power failure. */
  sync(): Promise<void> {
    return this.#wal.sync();
  }

  /** Idempotent. */
  close(): void {
    this.held.attempt();
    this.held.close();
    this.#wal.close();
    this.#db.close();
  }
}

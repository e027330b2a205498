/** API keys. A secret is shown once, when created; only its hash is stored. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { StatementSync } from "node:sqlite";
import { diskFault } from "../../files/disk_error.ts";
import { newId } from "./ids.ts";
import type { Database, Write } from "./database.ts";
import type { KeyRecord } from "./records.ts";
import { RecordTable } from "./record_table.ts";
import { unixSeconds } from "./unix_seconds.ts";

/** Seconds between updates of a key's last use, to avoid a write with every request. */
const USE_NOTED_EVERY = 60;

// 256 random bits cannot be guessed, so that a salt or a slow hash, as for passwords, is not
// needed.
const hashOf = (secret: string) => createHash("sha256").update(secret).digest();

export class Keys {
  readonly #table: RecordTable<KeyRecord>;
  readonly #setHash: Write;
  readonly #active: StatementSync;
  readonly #use: Write;
  readonly #list: StatementSync;
  readonly #revoke: Write;

  constructor(db: Database) {
    this.#table = new RecordTable<KeyRecord>(db, { table: "keys", one: "key" }, {
      id: "plain",
      name: "plain",
      createdAt: "plain",
      lastUsedAt: "plain",
      revokedAt: "plain",
    });
    this.#setHash = db.prepareWrite(
      "INSERT INTO keys (id, name, created_at, hash) VALUES (?, ?, ?, ?)",
    );
    this.#active = db.prepare("SELECT * FROM keys WHERE revoked_at IS NULL");
    this.#use = db.prepareWrite("UPDATE keys SET last_used_at = ? WHERE id = ?");
    this.#list = db.prepare("SELECT * FROM keys ORDER BY seq");
    this.#revoke = db.prepareWrite(
      "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
    );
  }

  /** The secret is `sk-` and 256 random bits. */
  create(name: string): { readonly record: KeyRecord; readonly secret: string } {
    const secret = `sk-${randomBytes(32).toString("base64url")}`;
    const record: KeyRecord = { id: newId("key"), name, createdAt: unixSeconds() };
    this.#setHash.run(record.id, name, record.createdAt, hashOf(secret));
    return { record, secret };
  }

  /** The key with this secret, if any. Takes constant time. */
  verify(secret: string): KeyRecord | undefined {
    const hash = hashOf(secret);
    const rows = this.#active.all();
    const [row] = rows.filter((row) => timingSafeEqual(row.hash as Uint8Array, hash));
    if (!row) return undefined;
    const key = this.#table.decode(row);
    const now = unixSeconds();
    // Either way: the clock may have been set back.
    if (Math.abs(now - (key.lastUsedAt ?? 0)) < USE_NOTED_EVERY) return key;
    try {
      this.#use.run(now, key.id);
    } catch (error) {
      // Nobody is locked out because the disk is full.
      if (!diskFault(error)) throw error;
    }
    return { ...key, lastUsedAt: now };
  }

  /** Includes revoked ones, oldest first. */
  list(): KeyRecord[] {
    return this.#list.all().map((row) => this.#table.decode(row));
  }

  /** Returns false if none has that id or it is already revoked. */
  revoke(id: string): boolean {
    return this.#revoke.run(unixSeconds(), id).changes === 1;
  }

  /** Ids of the keys that are not revoked. */
  activeIds(): ReadonlySet<string> {
    return new Set(this.#active.all().map(({ id }) => id as string));
  }

  anyActive(): boolean {
    return this.#active.get() !== undefined;
  }
}

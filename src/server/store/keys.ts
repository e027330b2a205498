/** API keys. A secret is shown once, when it is made; what is kept is its hash. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { newId } from "./ids.ts";
import type { KeyRecord } from "./records.ts";
import { RecordTable } from "./record_table.ts";
import { unixSeconds } from "./unix_seconds.ts";

/** Seconds between two notes of when a key was used: not a write with every request. */
const USE_NOTED_EVERY = 60;

// 256 random bits cannot be guessed: no salt and no slow hash, which guard words that people think of.
const hashOf = (secret: string) => createHash("sha256").update(secret).digest();

export class Keys {
  readonly #table: RecordTable<KeyRecord>;
  readonly #setHash: StatementSync;
  readonly #active: StatementSync;
  readonly #use: StatementSync;
  readonly #list: StatementSync;
  readonly #revoke: StatementSync;

  constructor(db: DatabaseSync) {
    this.#table = new RecordTable<KeyRecord>(db, { table: "keys", one: "key" }, {
      id: "plain",
      name: "plain",
      createdAt: "plain",
      lastUsedAt: "plain",
      revokedAt: "plain",
    });
    this.#setHash = db.prepare(
      "INSERT INTO keys (id, name, created_at, hash) VALUES (?, ?, ?, ?)",
    );
    this.#active = db.prepare("SELECT * FROM keys WHERE revoked_at IS NULL");
    this.#use = db.prepare("UPDATE keys SET last_used_at = ? WHERE id = ?");
    this.#list = db.prepare("SELECT * FROM keys ORDER BY seq");
    this.#revoke = db.prepare(
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

  /** The key whose secret this is. Takes as long whichever it is, and if it is none. */
  verify(secret: string): KeyRecord | undefined {
    const hash = hashOf(secret);
    const rows = this.#active.all();
    const [row] = rows.filter((row) => timingSafeEqual(row.hash as Uint8Array, hash));
    if (!row) return undefined;
    const key = this.#table.decode(row);
    const now = unixSeconds();
    if (now - (key.lastUsedAt ?? 0) < USE_NOTED_EVERY) return key;
    this.#use.run(now, key.id);
    return { ...key, lastUsedAt: now };
  }

  /** Revoked ones as well, oldest first. */
  list(): KeyRecord[] {
    return this.#list.all().map((row) => this.#table.decode(row));
  }

  /** False where there is none of that id, or it is revoked. */
  revoke(id: string): boolean {
    return this.#revoke.run(unixSeconds(), id).changes === 1;
  }

  anyActive(): boolean {
    return this.#active.get() !== undefined;
  }
}

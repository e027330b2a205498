/** Records of uploaded files and results; their bytes are in the data folder. */
import type { StatementSync } from "node:sqlite";
import type { Database, Write } from "./database.ts";
import type { Held } from "./held.ts";
import type { FileContents, FileRecord } from "./records.ts";
import { type Page, RecordTable } from "./record_table.ts";

export interface FileQuery {
  /** The last id of the previous page. */
  readonly after?: string;
  readonly limit: number;
  /** By time of upload. */
  readonly order: "asc" | "desc";
  readonly purpose?: string;
}

export class Files {
  readonly #table: RecordTable<FileRecord>;
  readonly #list: Readonly<Record<FileQuery["order"], StatementSync>>;
  readonly #delete: Write;
  readonly #setContents: Write;
  readonly #expired: StatementSync;
  readonly #bytes: StatementSync;
  /** Deleted, but not in the database yet. */
  readonly #gone = new Set<string>();

  constructor(readonly db: Database, readonly held: Held) {
    this.#table = new RecordTable<FileRecord>(db, { table: "files", one: "file" }, {
      id: "plain",
      filename: "plain",
      ending: "plain",
      purpose: "plain",
      bytes: "plain",
      lines: "plain",
      contents: "json",
      createdAt: "plain",
      expiresAt: "plain",
    });
    const list = (beyond: string, order: string) =>
      db.prepare(`
        SELECT * FROM files WHERE seq ${beyond} ?1 AND (?2 IS NULL OR purpose = ?2)
        ORDER BY seq ${order} LIMIT ?3 + 0`);
    this.#list = { asc: list(">", "ASC"), desc: list("<", "DESC") };
    this.#delete = db.prepareWrite("DELETE FROM files WHERE id = ?");
    this.#setContents = db.prepareWrite("UPDATE files SET contents = ? WHERE id = ?");
    this.#expired = db.prepare("SELECT * FROM files WHERE expires_at <= ? ORDER BY seq");
    this.#bytes = db.prepare("SELECT coalesce(sum(bytes), 0) AS bytes FROM files");
  }

  insert(file: FileRecord): void {
    if (!this.#table.insert(file)) throw new Error(`files.insert: ${file.id} is there already`);
  }

  get(id: string): FileRecord | undefined {
    return this.#gone.has(id) ? undefined : this.#table.get(id);
  }

  list({ after, limit, order, purpose }: FileQuery): Page<FileRecord> {
    const start = order === "asc" ? 0 : Number.MAX_SAFE_INTEGER;
    const place = after === undefined ? start : this.#table.placeOf(after);
    const rows = this.#list[order].all(place, purpose ?? null, limit + 1 + this.#gone.size);
    return this.#table.page(rows.filter(({ id }) => !this.#gone.has(id as string)), limit);
  }

  /** Records what was counted after the upload. */
  setContents(id: string, contents: FileContents): void {
    this.#setContents.run(this.#table.encode("contents", contents), id);
  }

  /** Returns false if there is none. */
  delete(id: string): boolean {
    return this.#delete.run(id).changes === 1;
  }

  /** Deletes a file for readers now, and in the database once the disk takes `write`. */
  holdDeletion(id: string, write: () => void): void {
    this.#gone.add(id);
    this.held.add(id, () => {
      write();
      this.db.afterCommit(() => this.#gone.delete(id));
    });
  }

  /** Files expired at `now`, in unix seconds. */
  expired(now: number): FileRecord[] {
    return this.#expired.all(now).map((row) => this.#table.decode(row))
      .filter(({ id }) => !this.#gone.has(id));
  }

  /** Total of all files. */
  bytes(): number {
    return this.#bytes.get()!.bytes as number;
  }
}

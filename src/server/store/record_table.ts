/** Records in an SQLite table, one column per field, in snake_case. */
import type { SQLInputValue, StatementSync } from "node:sqlite";
import { snakeCase } from "../../text.ts";
import { notFound } from "../api_error.ts";
import type { Database, Write } from "./database.ts";

/** How each field is stored: unchanged, or as JSON. */
export type Columns<R> = { readonly [Field in keyof Required<R>]: "plain" | "json" };

export type Row = Record<string, unknown>;

/** A page of a list, and whether more follow. */
export interface Page<R> {
  readonly data: R[];
  readonly hasMore: boolean;
}

export class RecordTable<R extends { readonly id: string }> {
  readonly #fields: readonly (keyof R & string)[];
  readonly #insert: Write;
  readonly #get: StatementSync;
  readonly #seq: StatementSync;

  constructor(
    db: Database,
    /** Names of the table and of one record. */
    readonly names: { readonly table: string; readonly one: string },
    readonly columns: Columns<R>,
  ) {
    const { table } = names;
    this.#fields = Object.keys(columns) as (keyof R & string)[];
    const list = this.#fields.map(snakeCase).join(", ");
    const places = this.#fields.map(() => "?").join(", ");
    this.#insert = db.prepareWrite(
      `INSERT INTO ${table} (${list}) VALUES (${places}) ON CONFLICT DO NOTHING`,
    );
    this.#get = db.prepare(`SELECT * FROM ${table} WHERE id = ?`);
    this.#seq = db.prepare(`SELECT seq FROM ${table} WHERE id = ?`);
  }

  /** Returns false if it violates a uniqueness constraint. */
  insert(record: R): boolean {
    const values = this.#fields.map((field) => this.encode(field, record[field]));
    return this.#insert.run(...values).changes === 1;
  }

  get(id: string): R | undefined {
    const row = this.#get.get(id);
    return row && this.decode(row);
  }

  /**
   * The position of the record that a page starts after; throws a 404 that names `after` if it is
   * gone.
   */
  placeOf(id: string): number {
    const row = this.#seq.get(id);
    if (!row) throw notFound(this.names.one, id, "after");
    return row.seq as number;
  }

  /** From rows queried with `limit` + 1. */
  page(rows: readonly Row[], limit: number): Page<R> {
    const data = rows.slice(0, limit).map((row) => this.decode(row));
    return { data, hasMore: rows.length > limit };
  }

  encode(field: keyof R, value: unknown): SQLInputValue {
    if (value === undefined || value === null) return null;
    return this.columns[field] === "json" ? JSON.stringify(value) : value as SQLInputValue;
  }

  /** Omits keys of null columns. */
  decode(row: Row): R {
    const record: Row = {};
    for (const field of this.#fields) {
      const value = row[snakeCase(field)];
      if (value === null || value === undefined) continue;
      record[field] = this.columns[field] === "json" ? JSON.parse(value as string) : value;
    }
    return record as R;
  }

  /** `a = ?, b = ?` for these fields. */
  assignments(fields: readonly (keyof R & string)[]): string {
    return fields.map((field) => `${snakeCase(field)} = ?`).join(", ");
  }
}

/** Records in a table of SQLite: a column a field, `camelCase` there and `snake_case` here. */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { snakeCase } from "../../text.ts";
import { notFound } from "../api_error.ts";

/** How each field is kept: as it is, or as JSON. */
export type Columns<R> = { readonly [Field in keyof Required<R>]: "plain" | "json" };

export type Row = Record<string, unknown>;

/** A part of a list, and whether more of it follows. */
export interface Page<R> {
  readonly data: R[];
  readonly hasMore: boolean;
}

export class RecordTable<R extends { readonly id: string }> {
  readonly #fields: readonly (keyof R & string)[];
  readonly #insert: StatementSync;
  readonly #get: StatementSync;
  readonly #seq: StatementSync;

  constructor(
    db: DatabaseSync,
    /** Of the table, and of one thing in it. */
    readonly names: { readonly table: string; readonly one: string },
    readonly columns: Columns<R>,
  ) {
    const { table } = names;
    this.#fields = Object.keys(columns) as (keyof R & string)[];
    const list = this.#fields.map(snakeCase).join(", ");
    const places = this.#fields.map(() => "?").join(", ");
    this.#insert = db.prepare(
      `INSERT INTO ${table} (${list}) VALUES (${places}) ON CONFLICT DO NOTHING`,
    );
    this.#get = db.prepare(`SELECT * FROM ${table} WHERE id = ?`);
    this.#seq = db.prepare(`SELECT seq FROM ${table} WHERE id = ?`);
  }

  /** False where there is one that must be unique. */
  insert(record: R): boolean {
    const values = this.#fields.map((field) => this.encode(field, record[field]));
    return this.#insert.run(...values).changes === 1;
  }

  get(id: string): R | undefined {
    const row = this.#get.get(id);
    return row && this.decode(row);
  }

  /** The place of a record that a list goes on after; a 404 that names `after` where it is gone. */
  placeOf(id: string): number {
    const row = this.#seq.get(id);
    if (!row) throw notFound(this.names.one, id, "after");
    return row.seq as number;
  }

  /** Of rows asked for with one more than `limit`. */
  page(rows: readonly Row[], limit: number): Page<R> {
    const data = rows.slice(0, limit).map((row) => this.decode(row));
    return { data, hasMore: rows.length > limit };
  }

  encode(field: keyof R, value: unknown): SQLInputValue {
    if (value === undefined || value === null) return null;
    return this.columns[field] === "json" ? JSON.stringify(value) : value as SQLInputValue;
  }

  /** What is not there has no key. */
  decode(row: Row): R {
    const record: Row = {};
    for (const field of this.#fields) {
      const value = row[snakeCase(field)];
      if (value === null || value === undefined) continue;
      record[field] = this.columns[field] === "json" ? JSON.parse(value as string) : value;
    }
    return record as R;
  }

  /** `a = ?, b = ?` of these fields. */
  assignments(fields: readonly (keyof R & string)[]): string {
    return fields.map((field) => `${snakeCase(field)} = ?`).join(", ");
  }
}

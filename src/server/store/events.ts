/** Events of jobs, each stored once and never changed. */
import type { StatementSync } from "node:sqlite";
import { notFound } from "../api_error.ts";
import type { Database, Write } from "./database.ts";
import type { EventRecord, NewEvent } from "./records.ts";
import type { Page, Row } from "./record_table.ts";

/** A point of the curves of a job: `data` of its metrics event. */
export interface MetricsPoint {
  readonly seq: number;
  readonly step: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** `ftevent-12`, an event's id for clients. */
export const eventId = (seq: number) => `ftevent-${seq}`;

/** An id as clients send it: of an event's object, or the bare number that a stream sends as `id:`. */
export const EVENT_ID = /^(?:ftevent-)?(\d{1,15})$/;

/** The number of an event; undefined if that is not an {@link EVENT_ID}. */
export function eventSeq(id: string): number | undefined {
  const digits = EVENT_ID.exec(id)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export class Events {
  readonly #append: Write;
  readonly #list: StatementSync;
  readonly #since: StatementSync;
  readonly #sinceOf: StatementSync;
  readonly #lastSeq: StatementSync;
  readonly #lastSeqOf: StatementSync;
  readonly #metrics: StatementSync;
  readonly #thinned: StatementSync;
  readonly #lastStep: StatementSync;
  readonly #latest: StatementSync;
  readonly #keyed: StatementSync;
  readonly #best: StatementSync;

  constructor(db: Database) {
    this.#append = db.prepareWrite(`
      INSERT INTO events (job_id, key, created_at, level, type, message, data, step, notable)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job_id, key) DO NOTHING`);
    this.#list = db.prepare(
      "SELECT * FROM events WHERE job_id = ? AND seq < ? ORDER BY seq DESC LIMIT ? + 0",
    );
    this.#since = db.prepare("SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ? + 0");
    this.#sinceOf = db.prepare(
      "SELECT * FROM events WHERE job_id = ? AND seq > ? ORDER BY seq LIMIT ? + 0",
    );
    this.#lastSeq = db.prepare("SELECT coalesce(max(seq), 0) AS seq FROM events");
    this.#lastSeqOf = db.prepare(
      "SELECT coalesce(max(seq), 0) AS seq FROM events WHERE job_id = ?",
    );
    this.#metrics = db.prepare(`
      SELECT seq, step, data FROM events WHERE job_id = ? AND type = 'metrics' ORDER BY step, seq`);
    // Each wanted step, or the next one present, by index lookups instead of a scan of the run.
    this.#thinned = db.prepare(`
      SELECT seq, step, data FROM events WHERE seq IN (
        SELECT (SELECT seq FROM events
                WHERE job_id = ?1 AND type = 'metrics' AND step >= value ORDER BY step LIMIT 1)
        FROM json_each(?2)
        UNION SELECT seq FROM events WHERE job_id = ?1 AND notable)
      ORDER BY step, seq`);
    this.#lastStep = db.prepare(`
      SELECT coalesce(max(step), 0) AS step FROM events WHERE job_id = ? AND type = 'metrics'`);
    this.#latest = db.prepare(`
      SELECT seq, step, data FROM events WHERE job_id = ? AND type = 'metrics'
      ORDER BY step DESC LIMIT 1`);
    this.#best = db.prepare(`
      SELECT step, json_extract(data, '$.valid_loss') AS valid_loss FROM events
      WHERE job_id = ? AND notable AND step > 0 AND valid_loss IS NOT NULL
      ORDER BY valid_loss, step LIMIT 1`);
    // ';' follows ':'. The range and the '+' have it look up keys, not go through a job's events.
    this.#keyed = db.prepare(`
      SELECT * FROM (
        SELECT * FROM events
        WHERE job_id = ?1 AND key >= ?2 AND key < ?2 || ';' AND (key = ?2 OR key > ?2 || ':')
        ORDER BY +seq DESC LIMIT ?3 + 0)
      ORDER BY seq`);
  }

  /** Undefined if the job already has one with that key. `now` in unix seconds. */
  append(jobId: string, event: NewEvent, now: number): EventRecord | undefined {
    const { key, level, type, message, data } = event;
    const metrics = type === "metrics";
    const { changes, lastInsertRowid } = this.#append.run(
      jobId,
      key ?? null,
      now,
      level,
      type,
      message,
      JSON.stringify(data),
      metrics && typeof data.step === "number" ? data.step : null,
      metrics && isNotable(data) ? 1 : 0,
    );
    if (!changes) return undefined;
    return { seq: Number(lastInsertRowid), jobId, createdAt: now, level, type, message, data };
  }

  /** Newest first; `after` is a client-visible id. */
  list(
    jobId: string,
    { after, limit }: { readonly after?: string; readonly limit: number },
  ): Page<EventRecord> {
    const place = after === undefined ? Number.MAX_SAFE_INTEGER : eventSeq(after);
    if (place === undefined) throw notFound("event", after!, "after");
    const rows = this.#list.all(jobId, place, limit + 1);
    return { data: rows.slice(0, limit).map(decode), hasMore: rows.length > limit };
  }

  /** In order, for one job or all. */
  since(
    seq: number,
    { jobId, limit }: { readonly jobId?: string; readonly limit: number },
  ): EventRecord[] {
    const rows = jobId === undefined
      ? this.#since.all(seq, limit)
      : this.#sinceOf.all(jobId, seq, limit);
    return rows.map(decode);
  }

  /** Of a job or all; 0 before the first event. */
  lastSeq(jobId?: string): number {
    const row = jobId === undefined ? this.#lastSeq.get() : this.#lastSeqOf.get(jobId);
    return row!.seq as number;
  }

  /**
   * The curves of a job, by step. With `maxPoints`, longer runs are thinned to that many evenly
   * spaced points, plus the last one, every evaluation and every subspace refresh.
   */
  metrics(jobId: string, { maxPoints }: { readonly maxPoints?: number } = {}): MetricsPoint[] {
    const last = this.lastStep(jobId);
    if (maxPoints === undefined || last < maxPoints) return this.#metrics.all(jobId).map(point);
    const steps = Array.from(
      { length: maxPoints },
      (_, place) => Math.round(place * last / (maxPoints - 1 || 1)),
    );
    return this.#thinned.all(jobId, JSON.stringify([...steps, last])).map(point);
  }

  /** Metrics of the last step. */
  latest(jobId: string): MetricsPoint | undefined {
    const row = this.#latest.get(jobId);
    return row && point(row);
  }

  /** The evaluation after a step that had the lowest loss. */
  best(jobId: string): { readonly step: number; readonly valid_loss: number } | undefined {
    const row = this.#best.get(jobId);
    return row && { step: row.step as number, valid_loss: row.valid_loss as number };
  }

  /** The newest events whose key is `kind` or starts with `kind:`, in order. */
  keyed(jobId: string, kind: string, limit: number): EventRecord[] {
    return this.#keyed.all(jobId, kind, limit).map(decode);
  }

  /** 0 before the first step. */
  lastStep(jobId: string): number {
    return this.#lastStep.get(jobId)!.step as number;
  }
}

function isNotable({ valid_loss, refreshed }: NewEvent["data"]): boolean {
  return valid_loss !== undefined || (Array.isArray(refreshed) && refreshed.length > 0);
}

function decode(row: Row): EventRecord {
  const { seq, job_id, created_at, level, type, message, data } = row;
  return {
    seq,
    jobId: job_id,
    createdAt: created_at,
    level,
    type,
    message,
    data: JSON.parse(data as string),
  } as EventRecord;
}

function point({ seq, step, data }: Row): MetricsPoint {
  return { seq, step, data: JSON.parse(data as string) } as MetricsPoint;
}

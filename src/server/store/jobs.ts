/** Jobs: their requests and their state. */
import type { StatementSync } from "node:sqlite";
import { diskFault } from "../../files/disk_error.ts";
import type { Database, Write } from "./database.ts";
import type { Held } from "./held.ts";
import {
  FINAL_STATUSES,
  JOB_KINDS,
  JOB_STATUSES,
  type JobKind,
  type JobRecord,
  type JobStatus,
} from "./records.ts";
import { type Page, RecordTable } from "./record_table.ts";

export interface JobQuery {
  readonly kind: JobKind;
  /** The last id of the previous page. */
  readonly after?: string;
  readonly limit: number;
  /** Only jobs whose request has all of these; null: those without any. */
  readonly metadata?: Readonly<Record<string, string>> | null;
}

/** Changes to a job: undefined leaves a field unchanged, null clears it. */
export type JobPatch = { readonly [Field in keyof JobRecord]?: JobRecord[Field] | null };

export class JobTable {
  readonly #table: RecordTable<JobRecord>;
  readonly #updates = new Map<string, Write>();
  /** Changes that are not in the database yet, by job. */
  readonly #held = new Map<string, JobPatch>();
  readonly #list: StatementSync;
  readonly #status: StatementSync;
  readonly #withStatus: StatementSync;
  readonly #counts: StatementSync;
  readonly #usingFile: StatementSync;
  readonly #nextTurn: StatementSync;
  readonly #resultModels: StatementSync;

  constructor(readonly db: Database, readonly held: Held) {
    this.#table = new RecordTable<JobRecord>(db, { table: "jobs", one: "job" }, {
      id: "plain",
      kind: "plain",
      status: "plain",
      createdAt: "plain",
      turn: "plain",
      startedAt: "plain",
      finishedAt: "plain",
      estimatedFinish: "plain",
      model: "plain",
      request: "json",
      options: "json",
      trainingFiles: "json",
      validationFiles: "json",
      plan: "json",
      trainedTokens: "plain",
      resultModel: "plain",
      resultFiles: "json",
      error: "json",
      reason: "plain",
      reasonCode: "plain",
      runsOn: "json",
    });
    // Every wanted metadata pair must occur in the request.
    this.#list = db.prepare(`
      SELECT * FROM jobs WHERE kind = ?1 AND seq < ?2 AND NOT EXISTS (
        SELECT 1 FROM json_each(?3) AS wanted WHERE NOT EXISTS (
          SELECT 1 FROM json_each(request, '$.metadata') AS has
          WHERE has.key = wanted.key AND has.value = wanted.value))
      AND (?5 = 0 OR NOT EXISTS (
        SELECT 1 FROM json_each(request, '$.metadata') AS has WHERE has.type = 'text'))
      ORDER BY seq DESC LIMIT ?4 + 0`);
    this.#status = db.prepare("SELECT status FROM jobs WHERE id = ?");
    this.#withStatus = db.prepare(`
      SELECT * FROM jobs WHERE status IN (SELECT value FROM json_each(?1))
        OR id IN (SELECT value FROM json_each(?2))
      ORDER BY turn, seq`);
    this.#counts = db.prepare(
      "SELECT kind, status, count(*) AS count FROM jobs GROUP BY kind, status",
    );
    this.#usingFile = db.prepare(`
      SELECT id FROM jobs WHERE status NOT IN (SELECT value FROM json_each(?2)) AND (
        EXISTS (SELECT 1 FROM json_each(training_files) WHERE value = ?1) OR
        EXISTS (SELECT 1 FROM json_each(validation_files) WHERE value = ?1))
      ORDER BY seq`);
    this.#nextTurn = db.prepare("SELECT coalesce(max(turn), 0) + 1 AS turn FROM jobs");
    this.#resultModels = db.prepare(`
      SELECT * FROM jobs WHERE status = 'succeeded' AND result_model IS NOT NULL ORDER BY seq`);
  }

  insert(job: JobRecord): void {
    if (!this.#table.insert(job)) throw new Error(`jobs.insert: ${job.id} is there already`);
  }

  get(id: string): JobRecord | undefined {
    const job = this.#table.get(id);
    return job && this.#current(job);
  }

  /** Its place in the order of creation. */
  placeOf(id: string): number {
    return this.#table.placeOf(id);
  }

  /** Cheaper than `get`, for frequent queries. */
  status(id: string): JobStatus | undefined {
    const held = this.#held.get(id)?.status;
    return held ?? this.#status.get(id)?.status as JobStatus | undefined;
  }

  /**
   * Changes a job for readers now, and in the database once the disk takes `write`, which must make
   * the change and may add what belongs to it.
   */
  hold(id: string, patch: JobPatch, write: () => void): void {
    this.#held.set(id, { ...this.#held.get(id), ...patch });
    this.held.add(id, () => {
      write();
      this.db.afterCommit(() => this.#held.delete(id));
    });
  }

  /** An update of what has happened in any case: it is held if the disk cannot take it now. */
  settle(id: string, patch: JobPatch): void {
    const write = () => void this.update(id, patch);
    try {
      write();
    } catch (error) {
      if (!diskFault(error)) throw error;
      this.hold(id, patch, write);
    }
  }

  /** Whether some change of it is not in the database yet. */
  isHeld(id: string): boolean {
    return this.#held.has(id);
  }

  /** Returns the updated job. */
  update(id: string, patch: JobPatch): JobRecord {
    const fields = (Object.keys(patch) as (keyof JobRecord)[])
      .filter((field) => patch[field] !== undefined);
    const row = fields.length
      ? this.#update(fields).get(...fields.map((each) => this.#table.encode(each, patch[each])), id)
      : undefined;
    const job = row ? this.#current(this.#table.decode(row)) : this.get(id);
    if (!job) throw new Error(`jobs.update: there is no job ${id}`);
    return job;
  }

  /** The job as readers see it. */
  #current(job: JobRecord): JobRecord {
    const patch = this.#held.get(job.id);
    if (!patch) return job;
    const fields = Object.entries({ ...job, ...patch }).filter(([, value]) => value !== null);
    return Object.fromEntries(fields) as unknown as JobRecord;
  }

  #update(fields: readonly (keyof JobRecord)[]): Write {
    const assignments = this.#table.assignments(fields);
    const known = this.#updates.get(assignments);
    if (known) return known;
    const statement = this.db.prepareWrite(
      `UPDATE jobs SET ${assignments} WHERE id = ? RETURNING *`,
    );
    this.#updates.set(assignments, statement);
    return statement;
  }

  /** Newest first. */
  list({ kind, after, limit, metadata = {} }: JobQuery): Page<JobRecord> {
    const place = after === undefined ? Number.MAX_SAFE_INTEGER : this.#table.placeOf(after);
    const rows = this.#list.all(
      kind,
      place,
      JSON.stringify(metadata ?? {}),
      limit + 1,
      Number(metadata === null),
    );
    const { data, hasMore } = this.#table.page(rows, limit);
    return { data: data.map((job) => this.#current(job)), hasMore };
  }

  /** The queued job whose turn it is. */
  next(): JobRecord | undefined {
    return this.withStatus("queued").at(0);
  }

  /** In queue order. */
  withStatus(...statuses: readonly JobStatus[]): JobRecord[] {
    const held = JSON.stringify([...this.#held.keys()]);
    return this.#withStatus.all(JSON.stringify(statuses), held)
      .map((row) => this.#current(this.#table.decode(row)))
      .filter(({ status }) => statuses.includes(status));
  }

  counts(): Record<JobKind, Record<JobStatus, number>> {
    const none = () => Object.fromEntries(JOB_STATUSES.map((status) => [status, 0]));
    const counts = Object.fromEntries(JOB_KINDS.map((kind) => [kind, none()]));
    for (const { kind, status, count } of this.#counts.all()) {
      counts[kind as JobKind][status as JobStatus] = count as number;
    }
    for (const id of this.#held.keys()) {
      const { kind, status } = this.#table.get(id)!;
      counts[kind][status]--;
      counts[kind][this.status(id)!]++;
    }
    return counts as Record<JobKind, Record<JobStatus, number>>;
  }

  /** Unfinished jobs that use a file. */
  usingFile(fileId: string): string[] {
    const rows = this.#usingFile.all(fileId, JSON.stringify(FINAL_STATUSES));
    return rows.map(({ id }) => id as string)
      .filter((id) => !FINAL_STATUSES.includes(this.status(id)!));
  }

  /** A position at the end of the queue. */
  nextTurn(): number {
    return this.#nextTurn.get()!.turn as number;
  }

  /** Jobs with a result model, oldest first. */
  resultModels(): JobRecord[] {
    return this.#resultModels.all().map((row) => this.#current(this.#table.decode(row)))
      .filter(({ resultModel }) => resultModel !== undefined);
  }
}

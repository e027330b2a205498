/** Checkpoints of jobs that can be used as models; their weights are in the job's folder. */
import type { StatementSync } from "node:sqlite";
import type { Database, Write } from "./database.ts";
import type { CheckpointRecord } from "./records.ts";
import { type Page, RecordTable } from "./record_table.ts";

export class Checkpoints {
  readonly #table: RecordTable<CheckpointRecord>;
  readonly #list: StatementSync;
  readonly #of: StatementSync;
  readonly #all: StatementSync;
  readonly #deleteSteps: Write;

  constructor(db: Database) {
    this.#table = new RecordTable<CheckpointRecord>(
      db,
      { table: "checkpoints", one: "checkpoint" },
      { id: "plain", jobId: "plain", step: "plain", createdAt: "plain", metrics: "json" },
    );
    this.#list = db.prepare(`
      SELECT * FROM checkpoints WHERE job_id = ? AND seq < ? ORDER BY seq DESC LIMIT ? + 0`);
    this.#of = db.prepare("SELECT * FROM checkpoints WHERE job_id = ? ORDER BY step");
    this.#all = db.prepare("SELECT * FROM checkpoints ORDER BY seq");
    this.#deleteSteps = db.prepareWrite(`
      DELETE FROM checkpoints WHERE job_id = ? AND step IN (SELECT value FROM json_each(?))`);
  }

  /** Returns false without a change if the job has one of that step: resumed runs repeat steps. */
  insert(checkpoint: CheckpointRecord): boolean {
    return this.#table.insert(checkpoint);
  }

  get(id: string): CheckpointRecord | undefined {
    return this.#table.get(id);
  }

  /** Newest first. */
  list(
    jobId: string,
    { after, limit }: { readonly after?: string; readonly limit: number },
  ): Page<CheckpointRecord> {
    const place = after === undefined ? Number.MAX_SAFE_INTEGER : this.#table.placeOf(after);
    return this.#table.page(this.#list.all(jobId, place, limit + 1), limit);
  }

  /** All checkpoints of a job, by step. */
  of(jobId: string): CheckpointRecord[] {
    return this.#of.all(jobId).map((row) => this.#table.decode(row));
  }

  /** Checkpoints of all jobs, oldest first. */
  all(): CheckpointRecord[] {
    return this.#all.all().map((row) => this.#table.decode(row));
  }

  deleteSteps(jobId: string, steps: readonly number[]): void {
    this.#deleteSteps.run(jobId, JSON.stringify(steps));
  }
}

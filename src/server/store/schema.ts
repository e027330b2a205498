/** The database schema, as a list of migrations. */
import { UserError } from "../../options/user_error.ts";
import type { Database } from "./database.ts";

/**
 * Entry N migrates from version N to N + 1; `user_version` holds the version. Published entries are
 * never edited: append a new one instead.
 *
 * `seq` preserves the order of arrival, which times in whole seconds do not.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
  ) STRICT;
  CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL;

  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    estimated_finish INTEGER,
    model TEXT NOT NULL,
    request TEXT NOT NULL,
    options TEXT NOT NULL,
    training_files TEXT NOT NULL,
    validation_files TEXT NOT NULL,
    plan TEXT NOT NULL,
    trained_tokens INTEGER,
    result_model TEXT,
    result_files TEXT NOT NULL,
    error TEXT,
    reason TEXT
  ) STRICT;
  CREATE INDEX jobs_by_status ON jobs (status, turn);

  CREATE TABLE checkpoints (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    step INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    metrics TEXT NOT NULL,
    UNIQUE (job_id, step)
  ) STRICT;

  CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    key TEXT,
    created_at INTEGER NOT NULL,
    level TEXT NOT NULL,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    data TEXT NOT NULL,
    step INTEGER, -- of metrics
    notable INTEGER NOT NULL, -- metrics that a thinned curve keeps
    UNIQUE (job_id, key)
  ) STRICT;
  CREATE INDEX events_by_job ON events (job_id, seq);
  CREATE INDEX metrics_by_step ON events (job_id, step) WHERE type = 'metrics';
  CREATE INDEX notable_metrics ON events (job_id, step) WHERE notable;

  CREATE TABLE keys (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER,
    hash BLOB NOT NULL
  ) STRICT;
`,
  `
  ALTER TABLE files ADD COLUMN ending TEXT; -- where its name has none
  ALTER TABLE files ADD COLUMN contents TEXT; -- kinds of its records; null until they are counted
  ALTER TABLE jobs ADD COLUMN reason_code TEXT;
`,
  `
  ALTER TABLE jobs ADD COLUMN runs_on TEXT;
`,
];

/** Upgrades an older or empty database to this version; refuses a newer one. */
export function migrate(db: Database): void {
  // A database of this version is not written to: its disk may be full.
  if (versionOf(db) === MIGRATIONS.length) return;
  // Asked again within the transaction: if two processes open it at once, the second finds it
  // upgraded.
  db.transaction(() => {
    for (const statements of MIGRATIONS.slice(versionOf(db))) db.sqlite.exec(statements);
    db.sqlite.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  });
}

function versionOf(db: Database): number {
  const { user_version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (user_version <= MIGRATIONS.length) return user_version;
  throw new UserError(
    `${db.path} has version ${user_version}, but this program supports up to ` +
      `${MIGRATIONS.length}`,
    "it was written by a newer version: use that, or another data folder",
  );
}

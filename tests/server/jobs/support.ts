/** A queue on a temporary data folder, with a model and a text that train in seconds. */
import { join } from "@std/path";
import { writeHfConfig } from "../../../src/formats/hf_config.ts";
import { StoredEventLog } from "../../../src/server/events/event_log.ts";
import { newId } from "../../../src/server/store/ids.ts";
import { JobQueue, type QueueHooks } from "../../../src/server/jobs/queue.ts";
import { ServerLog } from "../../../src/server/server_log.ts";
import type { QueueParts } from "../../../src/server/jobs/queue_parts.ts";
import { serverOptions } from "../../../src/server/options.ts";
import {
  FINAL_STATUSES,
  type JobRecord,
  type JobStatus,
} from "../../../src/server/store/records.ts";
import type { NewJob } from "../../../src/server/services.ts";
import { Retention } from "../../../src/server/jobs/retention.ts";
import { DataFolder } from "../../../src/server/storage/data_folder.ts";
import { Database } from "../../../src/server/store/database.ts";
import { Store } from "../../../src/server/store/store.ts";
import { TimingsFolder } from "../../../src/train/timings.ts";
import { TINY } from "../../train/support.ts";
import { until } from "../until.ts";

const SHAKESPEARE = new URL("../../../examples/data/tinyshakespeare.txt", import.meta.url);

export interface Bench {
  readonly folder: string;
  readonly storage: DataFolder;
  readonly store: Store;
  readonly database: Database;
  readonly log: StoredEventLog;
  readonly queue: JobQueue;
  /** A job of some steps. */
  job(change?: Record<string, unknown>): NewJob;
  /** Resolves when the job has come to one of these states. */
  until(id: string, ...statuses: JobStatus[]): Promise<JobRecord>;
  /** Messages of a job's events, oldest first. */
  told(id: string): string[];
  /** Resolves when the job has told of that step. */
  untilStep(id: string, step: number): Promise<void>;
}

export async function withQueue(
  use: (bench: Bench) => void | Promise<void>,
  {
    root,
    quota,
    workers,
    models,
    attach,
    own,
    startTraining,
    findLauncher,
    hooks,
    // Of a server with a queue alone workers may be none.
    queue: address = "postgres://nowhere",
    serverLog = new ServerLog(console.error),
  }:
    & {
      readonly root?: string;
      readonly quota?: number;
      readonly workers?: number;
      readonly hooks?: QueueHooks;
      /** Empty: none. */
      readonly queue?: string;
    }
    & Partial<
      Pick<QueueParts, "models" | "attach" | "own" | "startTraining" | "findLauncher" | "serverLog">
    > = {},
): Promise<void> {
  const folder = root ?? await Deno.makeTempDir();
  try {
    const storage = await DataFolder.open(join(folder, "data"), { quota });
    const database = Database.open(storage.database), store = Store.over(database);
    const log = new StoredEventLog(store);
    const options = serverOptions.parse({
      dataFolder: join(folder, "data"),
      modelsFolder: join(folder, "models"),
      gpuMemory: 4,
      workers,
      ...(address && { queue: address }),
    });
    const room = new Retention({ options, store, storage });
    const queue = new JobQueue({
      store,
      serverLog,
      log,
      storage,
      models: models ?? { get: () => Promise.reject(new Error("no model is asked for")) },
      options,
      room,
      timings: new TimingsFolder(join(storage.path, "timings")),
      attach,
      own,
      startTraining,
      findLauncher,
    }, hooks);
    try {
      await writeHfConfig(folder, TINY, "float32");
      await use(bench({ folder, storage, store, database, log, queue }));
    } finally {
      await queue.stop();
      store.close();
      storage.close();
    }
  } finally {
    if (!root) await Deno.remove(folder, { recursive: true });
  }
}

function bench(
  parts: Pick<Bench, "folder" | "storage" | "store" | "database" | "log" | "queue">,
): Bench {
  const { store, storage } = parts;
  const file = { id: newId("file"), filename: "text.txt" };
  const text = Deno.readTextFileSync(SHAKESPEARE).slice(0, 40_000);
  Deno.writeTextFileSync(storage.filePath(file), text);
  const bytes = new TextEncoder().encode(text).length;
  store.files.insert({ ...file, purpose: "pretrain", bytes, lines: 1, createdAt: 0 });
  const all = (id: string) => store.events.since(0, { jobId: id, limit: 10_000 });
  return {
    ...parts,
    job: (change) => ({
      kind: "pretraining",
      model: "tiny",
      request: {},
      options: {
        model: JSON.parse(Deno.readTextFileSync(join(parts.folder, "config.json"))),
        steps: 12,
        warmupSteps: 1,
        batchSize: 3,
        seqLen: 24,
        rank: 16,
        updateProjGap: 3,
        weightGroupSize: 64,
        evalShare: 0.05,
        evalEvery: 6,
        saveEvery: 4,
        ...change,
      },
      trainingFiles: [file.id],
      validationFiles: [],
      plan: {
        plannedPeakBytes: 1,
        byPurpose: {} as NewJob["plan"]["byPurpose"],
        diskBytes: 2 ** 20,
      },
    }),
    until: (id, ...statuses) =>
      until(`${id} is ${statuses.join(" or ")}`, () => {
        const job = store.jobs.get(id)!;
        if (statuses.includes(job.status)) return job;
        if (!FINAL_STATUSES.includes(job.status)) return undefined;
        throw new Error(`job is ${job.status}: ${JSON.stringify(job.error)}`);
      }),
    told: (id) => all(id).map(({ message }) => message),
    async untilStep(id, step) {
      await until(`${id} has done step ${step}`, () => store.events.lastStep(id) >= step);
    },
  };
}

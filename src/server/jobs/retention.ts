/** Automatic removal from the data folder. */
import { join } from "../../packages/std_path.ts";
import { pruneCheckpoints } from "../../train/checkpoint.ts";
import { DELETED, INCOMING, RESULTS_PURPOSE, UNFINISHED } from "../store/file_kinds.ts";
import { namesIn } from "../../files/names_in.ts";
import { finishDeletion, removeFile } from "../files/remove.ts";
import { forgetCheckpoints } from "./checkpoint_models.ts";
import { FINAL_STATUSES, type JobRecord } from "../store/records.ts";
import type { Services } from "../services.ts";
import { type DataFolder, folderBytes } from "../storage/data_folder.ts";

const INTERVAL_MS = 60_000;

const DAY = 24 * 3600;

export interface RetentionOptions {
  readonly intervalMs?: number;
  /** Unix seconds. */
  readonly now?: () => number;
  /** Called when a removal fails; files without a record are removed at the next start. */
  readonly onFault?: (line: string) => void;
}

export class Retention {
  #timer?: ReturnType<typeof setTimeout>;
  #round: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    readonly services: Pick<Services, "options" | "store"> & { readonly storage: DataFolder },
    readonly settings: RetentionOptions = {},
  ) {}

  /**
   * Call once, before the first request: removes what a crash left, then checks files periodically.
   */
  async start(): Promise<void> {
    await this.#logFault(() => this.sweepLeftovers());
    await this.#logFault(() => this.sweepCheckpoints());
    this.#next(0);
  }

  /** Resolves once no removal is in progress. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  /** Removes expired files, by their client's choice or by `keepFiles`. */
  async sweepFiles(): Promise<void> {
    const { store } = this.services;
    const now = this.settings.now?.() ?? Date.now() / 1000;
    for (const file of [...store.files.expired(Math.floor(now)), ...this.#old(now)]) {
      if (store.jobs.usingFile(file.id).length === 0) await removeFile(file, this.services);
    }
  }

  /**
   * Removes unfinished uploads, of clients and of workers, and files without a record, and finishes deletions. Must run before
   * requests are answered, because an upload in progress looks the same.
   */
  async sweepLeftovers(): Promise<void> {
    const { store, storage } = this.services;
    // A database without files may be a new one that replaces a lost one: remove nothing.
    const anyKnown = store.files.list({ limit: 1, order: "asc" }).data.length > 0;
    for await (const { name, isFile } of Deno.readDir(storage.filesFolder)) {
      const id = name.replace(/\..*$/, ""), path = join(storage.filesFolder, name);
      const unfinished = name.endsWith(UNFINISHED);
      const unknown = anyKnown && !store.files.get(id);
      if (isFile && (unfinished || unknown)) await Deno.remove(path);
      else if (isFile && name.endsWith(DELETED)) finishDeletion(id, path, store);
    }
    const jobs = join(storage.path, "jobs");
    for await (const { name: job } of Deno.readDir(jobs)) {
      for (const name of await namesIn(join(jobs, job))) {
        if (!name.startsWith(INCOMING)) continue;
        await Deno.remove(join(jobs, job, name), { recursive: true });
      }
    }
  }

  /** Prunes checkpoints of all succeeded jobs, some of which may have ended as the server did. */
  async sweepCheckpoints(): Promise<void> {
    for (const job of this.services.store.jobs.withStatus("succeeded")) {
      await this.pruneFinished(job);
    }
  }

  /** Removes the checkpoints of a succeeded job, unless configured to keep them. */
  async pruneFinished(job: Pick<JobRecord, "id" | "status">): Promise<void> {
    if (job.status !== "succeeded" || this.services.options.keepFinishedCheckpoints) return;
    await this.#removeCheckpoints(job.id);
  }

  /**
   * Removes checkpoints of finished jobs until `bytes` are free: of those that ended first, but of
   * failed ones, which may be resumed from theirs, after all others. Returns false if that is not
   * enough. Results stay.
   */
  async makeRoom(bytes: number): Promise<boolean> {
    const { storage } = this.services;
    for (const { id } of this.#ended()) {
      if (await storage.free() >= bytes) return true;
      await this.#removeCheckpoints(id);
    }
    return await storage.free() >= bytes;
  }

  /** By the order of their last events, which no clock that is set back changes. */
  #ended(): JobRecord[] {
    const { jobs, events } = this.services.store;
    const placed = jobs.withStatus(...FINAL_STATUSES).map((job) => ({
      job,
      place: [Number(job.status === "failed"), events.lastSeq(job.id), job.finishedAt ?? 0],
    }));
    const byPlace = (a: number[], b: number[]) =>
      a.map((each, i) => each - b[i]).find(Boolean) ?? 0;
    return placed.sort((a, b) => byPlace(a.place, b.place)).map(({ job }) => job);
  }

  /** Uploaded files older than `keepFiles` days. */
  *#old(now: number) {
    const { options, store } = this.services;
    if (options.keepFiles === 0) return;
    let after: string | undefined;
    while (true) {
      const { data, hasMore } = store.files.list({ after, limit: 100, order: "asc" });
      for (const file of data) {
        const isOld = file.createdAt <= now - options.keepFiles * DAY;
        if (isOld && file.purpose !== RESULTS_PURPOSE) yield file;
      }
      if (!hasMore) return;
      after = data.at(-1)!.id;
    }
  }

  async #removeCheckpoints(jobId: string): Promise<void> {
    const { storage } = this.services;
    const folder = storage.jobFolder(jobId);
    const before = await folderBytes(folder);
    await pruneCheckpoints(folder, 0);
    await forgetCheckpoints(jobId, this.services);
    storage.account(await folderBytes(folder) - before);
  }

  #next(delay: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#round = this.#logFault(() => this.sweepFiles())
        .then(() => this.#next(this.settings.intervalMs ?? INTERVAL_MS));
    }, delay);
  }

  async #logFault(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.settings.onFault?.(`retention: ${(error as Error).message}`);
    }
  }
}

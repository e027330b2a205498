/** What goes from the data folder by itself, and when. */
import { join } from "@std/path";
import { pruneCheckpoints } from "../../train/checkpoint.ts";
import { RESULTS_PURPOSE, UNFINISHED } from "../store/file_kinds.ts";
import { removeFile } from "../files/remove.ts";
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
  /** Told what could not be removed; what has lost its record goes at the next start. */
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

  /** Once, before the first request: clears what a crash left, then looks at files again and again. */
  async start(): Promise<void> {
    await this.#told(() => this.sweepLeftovers());
    await this.#told(() => this.sweepCheckpoints());
    this.#next(0);
  }

  /** Resolves when nothing is being removed any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  /** Files whose time is over, by what their client said or by `keepFiles`. */
  async sweepFiles(): Promise<void> {
    const { store } = this.services;
    const now = this.settings.now?.() ?? Date.now() / 1000;
    for (const file of [...store.files.expired(Math.floor(now)), ...this.#old(now)]) {
      if (store.jobs.usingFile(file.id).length === 0) await removeFile(file, this.services);
    }
  }

  /**
   * Uploads that never ended, and files that no record came to be of. Before requests are answered:
   * an upload under way looks the same.
   */
  async sweepLeftovers(): Promise<void> {
    const { store, storage } = this.services;
    // A database that knows no file is a new one, maybe in the place of one that was lost.
    const anyKnown = store.files.list({ limit: 1, order: "asc" }).data.length > 0;
    for await (const { name, isFile } of Deno.readDir(storage.filesFolder)) {
      const unfinished = name.endsWith(UNFINISHED);
      const unknown = anyKnown && !store.files.get(name.replace(/\..*$/, ""));
      if (isFile && (unfinished || unknown)) await Deno.remove(join(storage.filesFolder, name));
    }
  }

  /** Of all jobs that have succeeded: some may have ended when the server did. */
  async sweepCheckpoints(): Promise<void> {
    for (const job of this.services.store.jobs.withStatus("succeeded")) {
      await this.pruneFinished(job);
    }
  }

  /** Removes the checkpoints of a job that has succeeded, unless they are to be kept. */
  async pruneFinished(job: Pick<JobRecord, "id" | "status">): Promise<void> {
    if (job.status !== "succeeded" || this.services.options.keepFinishedCheckpoints) return;
    await this.#removeCheckpoints(job.id);
  }

  /**
   * Removes checkpoints of jobs that ended, of the first to end first, until there is room for so
   * many bytes. False where that is not enough. Results stay.
   */
  async makeRoom(bytes: number): Promise<boolean> {
    const { store, storage } = this.services;
    const ended = store.jobs.withStatus(...FINAL_STATUSES)
      .sort((a, b) => (a.finishedAt ?? a.createdAt) - (b.finishedAt ?? b.createdAt));
    for (const { id } of ended) {
      if (await storage.free() >= bytes) return true;
      await this.#removeCheckpoints(id);
    }
    return await storage.free() >= bytes;
  }

  /** Uploaded ones, older than `keepFiles` days. */
  *#old(now: number) {
    const { options, store } = this.services;
    if (options.keepFiles === 0) return;
    let after: string | undefined;
    while (true) {
      const { data, hasMore } = store.files.list({ after, limit: 100, order: "asc" });
      for (const file of data) {
        if (file.createdAt > now - options.keepFiles * DAY) return;
        if (file.purpose !== RESULTS_PURPOSE) yield file;
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
      this.#round = this.#told(() => this.sweepFiles())
        .then(() => this.#next(this.settings.intervalMs ?? INTERVAL_MS));
    }, delay);
  }

  async #told(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.settings.onFault?.(`retention: ${(error as Error).message}`);
    }
  }
}

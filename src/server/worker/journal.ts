/**
 * The events of a run, written to disk before they are sent: if the server is killed while the run
 * finishes its step, the next server reads the remaining events here.
 */
import { join } from "../../packages/std_path.ts";
import { jsonLine } from "../processes/lines.ts";
import { JOURNAL_FILE, type WorkerEvent } from "./protocol.ts";

/** Interval between syncs, which bounds what a power failure loses. */
const SYNC_INTERVAL_MS = 250;

export class Journal implements Disposable {
  readonly #file: Deno.FsFile;
  /** Bytes of whole lines. */
  #length: number;
  #synced = 0;

  constructor(folder: string) {
    this.#file = Deno.openSync(join(folder, JOURNAL_FILE), { append: true, create: true });
    this.#length = this.#file.statSync().size;
  }

  /** Writes all of a line, or throws and leaves none of it, which would spoil the next. */
  append(event: WorkerEvent): void {
    const line = jsonLine(event);
    try {
      for (let done = 0; done < line.length;) done += this.#file.writeSync(line.subarray(done));
      this.#length += line.length;
    } catch (error) {
      this.#cut();
      throw error;
    }
    const now = performance.now();
    if (event.type === "step" && now - this.#synced < SYNC_INTERVAL_MS) return;
    this.#synced = now;
    this.#file.syncDataSync();
  }

  /** What ended the write is the error to report. */
  #cut(): void {
    try {
      this.#file.truncateSync(this.#length);
    } catch { /* whoever reads it skips part of a line, and what follows on it */ }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/**
 * What a run tells, on disk before it is told: a server that was killed while the run went on for a
 * moment reads the rest of it here.
 */
import { join } from "@std/path";
import { jsonLine } from "../processes/lines.ts";
import { JOURNAL_FILE, type WorkerEvent } from "./protocol.ts";

/** Between two waits for the disk; what a power cut takes is no more than this. */
const SYNC_INTERVAL_MS = 250;

export class Journal implements Disposable {
  readonly #file: Deno.FsFile;
  #synced = 0;

  constructor(folder: string) {
    this.#file = Deno.openSync(join(folder, JOURNAL_FILE), { append: true, create: true });
  }

  append(event: WorkerEvent): void {
    const line = jsonLine(event);
    for (let done = 0; done < line.length;) done += this.#file.writeSync(line.subarray(done));
    const now = performance.now();
    if (event.type === "step" && now - this.#synced < SYNC_INTERVAL_MS) return;
    this.#synced = now;
    this.#file.syncDataSync();
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

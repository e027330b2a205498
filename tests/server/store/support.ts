/** Sample records, and a temporary store. */
import { join } from "@std/path";
import type { FileRecord, JobRecord, NewEvent } from "../../../src/server/store/records.ts";
import { Store } from "../../../src/server/store/store.ts";

/** A store on the disk, as the server's: closed and removed afterwards. */
export async function withStore(use: (store: Store, path: string) => Promise<void> | void) {
  const folder = await Deno.makeTempDir({ prefix: "store-" });
  const path = join(folder, "server.sqlite");
  const store = Store.open(path);
  try {
    await use(store, path);
  } finally {
    store.close();
    await Deno.remove(folder, { recursive: true });
  }
}

export function job(given: Partial<JobRecord> = {}): JobRecord {
  return {
    id: "ftjob-1",
    kind: "fine_tuning",
    status: "queued",
    createdAt: 1_700_000_000,
    turn: 1,
    model: "llama",
    request: { model: "llama", training_file: "file-1" },
    options: { steps: 10, lr: 1e-4 },
    trainingFiles: ["file-1"],
    validationFiles: [],
    plan: { plannedPeakBytes: 1000, byPurpose: {} as JobRecord["plan"]["byPurpose"], diskBytes: 0 },
    resultFiles: [],
    ...given,
  };
}

export function file(given: Partial<FileRecord> = {}): FileRecord {
  return {
    id: "file-1",
    filename: "train.jsonl",
    purpose: "fine-tune",
    bytes: 100,
    lines: 3,
    createdAt: 1_700_000_000,
    ...given,
  };
}

/** The event of a step. */
export function step(number: number, data: NewEvent["data"] = {}): NewEvent {
  return {
    key: `step:${number}`,
    level: "info",
    type: "metrics",
    message: `Step ${number}/100: training loss=1.5`,
    data: { step: number, total_steps: 100, train_loss: 1.5, ...data },
  };
}

export function message(text: string, key?: string): NewEvent {
  return { key, level: "info", type: "message", message: text, data: {} };
}

/** The curves of a finished job as a CSV file: OpenAI's `result_files`. */
import type { Store } from "../store/store.ts";
import { RESULTS_PURPOSE } from "../store/file_kinds.ts";
import { newId } from "../store/ids.ts";
import type { FileRecord, JobRecord } from "../store/records.ts";
import type { Storage } from "../services.ts";
import { writeAtomically } from "../../files/atomic.ts";
import { unixSeconds } from "../store/unix_seconds.ts";

const COLUMNS = [
  "step",
  "train_loss",
  "valid_loss",
  "valid_perplexity",
  "lr",
  "tokens",
  "tokens_per_second",
  "step_ms",
  "gpu_bytes",
  "subspace_refreshes",
  "grad_norm",
] as const;

/** Rows per write, after which it yields to other work. */
const BATCH = 500;

/** Writes the file; its record is the caller's to insert. */
export async function writeResultsFile(
  job: Pick<JobRecord, "id">,
  { store, storage }: { readonly store: Pick<Store, "events">; readonly storage: Storage },
): Promise<FileRecord> {
  const id = newId("file"), filename = `step_metrics_${job.id}.csv`;
  const points = store.events.metrics(job.id);
  const encoder = new TextEncoder();
  let bytes = 0;
  await writeAtomically(storage.filePath({ id, filename }), async (file) => {
    const write = async (lines: readonly string[]) => {
      let rest = encoder.encode(lines.join(""));
      bytes += rest.length;
      while (rest.length) rest = rest.subarray(await file.write(rest));
    };
    await write([COLUMNS.join(",") + "\n"]);
    for (let start = 0; start < points.length; start += BATCH) {
      await write(points.slice(start, start + BATCH).map(({ data }) => row(data)));
    }
  });
  return {
    id,
    filename,
    purpose: RESULTS_PURPOSE,
    bytes,
    lines: points.length + 1,
    createdAt: unixSeconds(),
  };
}

/** Only numbers, so nothing needs quoting. */
function row(data: Readonly<Record<string, unknown>>): string {
  return COLUMNS.map((column) => typeof data[column] === "number" ? data[column] : "")
    .join(",") + "\n";
}

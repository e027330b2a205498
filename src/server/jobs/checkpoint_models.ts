/** Models of checkpoints, written when one is first used. */
import { join } from "../../packages/std_path.ts";
import { checkpointSteps } from "../../formats/checkpoint/reader.ts";
import { diskFault, isDiskFault } from "../../files/disk_error.ts";
import { ApiError, diskRefusal } from "../api_error.ts";
import type { ModelRecord } from "../services.ts";
import type { FailureEvent } from "../worker/protocol.ts";
import { isThere } from "../../files/stat.ts";
import { removeAll } from "../../files/remove_all.ts";
import type { QueueParts } from "./queue_parts.ts";
import { trainingTask } from "./run_options.ts";
import { inClientTerms } from "./wording.ts";
import { startTraining } from "./training_process.ts";

/** The folder of a checkpoint's model: below the job's folder, by step. */
export function checkpointModelFolder(jobFolder: string, step: number): string {
  return join(jobFolder, "checkpoint-models", `step-${step}`);
}

/** Writes the model's folder in a separate process, unless it exists. */
export async function saveCheckpoint(
  { name, jobId, step }: Pick<ModelRecord, "name" | "jobId" | "step">,
  parts: QueueParts,
): Promise<void> {
  const { store, storage, serverLog } = parts;
  const job = store.jobs.get(jobId!)!, folder = storage.jobFolder(job.id);
  const output = checkpointModelFolder(folder, step!), resume = join(folder, `checkpoint-${step}`);
  if (await isThere(output)) return;
  // It takes one process to write it.
  const { options, ranks: _, ...task } = await trainingTask(job, {
    ...parts,
    // The file is no longer read, and may be gone.
    file: (id) => store.files.get(id) ?? { id, filename: "" },
  });
  // An existing folder is complete: an interrupted attempt has another name.
  const unfinished = `${output}.tmp`;
  await removeAll(unfinished);
  const process = startTraining({
    ...task,
    options: { ...options, resume, output: unfinished },
    saveCheckpoint: true,
    reads: [...task.reads, resume],
  });
  let failure: FailureEvent | undefined;
  for await (const event of process.events) if (event.type === "failure") failure = event;
  const { code, log } = await process.exit;
  if (code !== 0) {
    serverLog.entry("error", `The model ${name} could not be created`, { job_id: job.id }, log);
    await removeAll(unfinished);
    if (isDiskFault(failure?.code)) throw diskRefusal(failure.code);
    throw new ApiError(failure ? 400 : 503, {
      message: `The model ${name} could not be created: ` +
        (failure ? inClientTerms(failure, job, parts) : "its process ended"),
      code: failure?.code ?? "process_crashed",
    });
  }
  await Deno.rename(unfinished, output);
}

/** Removes the records and models of checkpoints whose folders are gone. */
export async function forgetCheckpoints(
  jobId: string,
  { store, storage }: Pick<QueueParts, "store" | "storage">,
): Promise<void> {
  const folder = storage.jobFolder(jobId);
  const kept = new Set(await checkpointSteps(folder));
  const gone = store.checkpoints.of(jobId).map(({ step }) => step).filter((each) =>
    !kept.has(each)
  );
  const forget = () => store.checkpoints.deleteSteps(jobId, gone);
  try {
    if (gone.length) forget();
  } catch (error) {
    if (!diskFault(error)) throw error;
    store.held.add(jobId, forget);
  }
  for (const step of gone) await removeAll(checkpointModelFolder(folder, step));
}

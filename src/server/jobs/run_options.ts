/** Translates a job's request into the task of the training process: names become paths. */
import { join } from "../../packages/std_path.ts";
import { effective, FINETUNE_EFFECTS, PRETRAIN_EFFECTS } from "../../train/option_effects.ts";
import { looksLikePath } from "../../train/presets.ts";
import { ApiError } from "../api_error.ts";
import type { ServerOptions } from "../options.ts";
import type { FileRecord, JobRecord } from "../store/records.ts";
import type { Models, Storage } from "../services.ts";
import type { Store } from "../store/store.ts";
import type { TrainingTask } from "../worker/protocol.ts";

export interface RunPlaces {
  readonly storage: Pick<Storage, "filePath" | "jobFolder">;
  readonly models: Pick<Models, "get">;
  readonly options: Pick<ServerOptions, "gpuMemory" | "keepCheckpoints">;
  /** The record of a file that the job needs. */
  file(id: string): Pick<FileRecord, "id" | "filename" | "ending">;
}

/** What of a job determines its run. */
export type RunJob = Pick<
  JobRecord,
  "id" | "kind" | "model" | "options" | "trainingFiles" | "validationFiles"
>;

export interface Task extends TrainingTask {
  /** Paths that the process may read besides its own folder and code. */
  readonly reads: readonly string[];
}

/** Throws an ApiError if a model or a file no longer exists. */
export async function trainingTask(job: RunJob, places: RunPlaces): Promise<Task> {
  const { storage, options: { gpuMemory, keepCheckpoints } } = places;
  const path = (id: string) => storage.filePath(places.file(id));
  const data = job.trainingFiles.map(path), evalData = job.validationFiles.map(path);
  const model = await modelOptions(job, places);
  // An earlier version kept, and ignored, options that have no effect.
  const options = effective(job.kind === "fine_tuning" ? FINETUNE_EFFECTS : PRETRAIN_EFFECTS, {
    ...job.options,
    ...model,
    data,
    ...(evalData.length ? { evalData } : undefined),
    output: storage.jobFolder(job.id),
    resume: "auto",
    keepCheckpoints,
    gpuMemory,
  });
  const reads = [
    ...data,
    ...evalData,
    ...Object.values(model).filter(looksLikePath),
  ];
  return { kind: job.kind, options, reads };
}

/** The record of a file. Throws an ApiError if it no longer exists. */
export function fileOf({ files }: Pick<Store, "files">, id: string): FileRecord {
  const file = files.get(id);
  if (file) return file;
  throw new ApiError(400, { message: `The file ${id} no longer exists`, code: "file_not_found" });
}

async function modelOptions(job: RunJob, places: RunPlaces): Promise<Record<string, string>> {
  if (job.kind === "fine_tuning") return { model: (await places.models.get(job.model)).path };
  const { model, from, tokenizer } = job.options;
  const pathOf = async (name: unknown) => (await places.models.get(String(name))).path;
  const start: Record<string, string> = from !== undefined
    ? { from: await pathOf(from) }
    : { model: typeof model === "string" ? model : await writeConfig(job, places) };
  if (tokenizer === undefined) return start;
  return { ...start, tokenizer: tokenizer === "bytes" ? "bytes" : await pathOf(tokenizer) };
}

/** Writes the configuration in the request to where the run expects it. */
async function writeConfig(job: RunJob, { storage }: RunPlaces): Promise<string> {
  const folder = join(storage.jobFolder(job.id), "config"), path = join(folder, "config.json");
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(path, JSON.stringify(job.options.model));
  return path;
}

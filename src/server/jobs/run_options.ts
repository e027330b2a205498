/** Translates a job's request into the task of the training process: names become paths. */
import { join } from "../../packages/std_path.ts";
import { effective } from "../../train/effect.ts";
import { FINETUNE_EFFECTS, PRETRAIN_EFFECTS } from "../../train/option_effects.ts";
import { looksLikePath } from "../../train/presets.ts";
import type { ServerOptions } from "../options.ts";
import { type FileRecord, type JobRecord, ranksOf } from "../store/records.ts";
import type { ModelRecord, Models, Storage } from "../services.ts";
import type { TrainingTask } from "../worker/protocol.ts";
import { neededModel } from "./inputs.ts";

export interface RunPlaces {
  readonly storage: Pick<Storage, "filePath" | "jobFolder">;
  readonly models: Pick<Models, "get">;
  readonly options: Pick<ServerOptions, "gpuMemory" | "keepCheckpoints" | "modelsFolder">;
  /** The record of a file that the job needs. */
  file(id: string): Pick<FileRecord, "id" | "filename" | "ending">;
}

/** What of a job determines its run. */
export type RunJob = Pick<
  JobRecord,
  "id" | "kind" | "model" | "options" | "trainingFiles" | "validationFiles" | "plan"
>;

export interface Task extends TrainingTask {
  /** Paths that the process may read besides its own folder and code. */
  readonly reads: readonly string[];
  /** Variables of its environment, by which it sees its card alone. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Throws a {@link Hindrance} if a model is not there. */
export async function trainingTask(job: RunJob, places: RunPlaces): Promise<Task> {
  const { storage, options: { gpuMemory, keepCheckpoints } } = places;
  const path = (id: string) => storage.filePath(places.file(id));
  const data = job.trainingFiles.map(path), evalData = job.validationFiles.map(path);
  const models: ModelRecord[] = [];
  const model = await modelOptions(job, places, async (name) => {
    const model = await neededModel(String(name), places);
    models.push(model);
    return model.path;
  });
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
    ...models.flatMap(({ reads = [] }) => reads),
  ];
  const ranks = ranksOf(job);
  return { kind: job.kind, options, reads, ...(ranks > 1 && { ranks }) };
}

async function modelOptions(
  job: RunJob,
  places: RunPlaces,
  pathOf: (name: unknown) => Promise<string>,
): Promise<Record<string, string>> {
  if (job.kind === "fine_tuning") return { model: await pathOf(job.model) };
  const { model, from, tokenizer } = job.options;
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

/** What a job needs from outside its folder: whether it is there. */
import type { FileRecord, JobRecord } from "../store/records.ts";
import { ApiError } from "../api_error.ts";
import type { ModelRecord, Models, Storage } from "../services.ts";
import type { ServerOptions } from "../options.ts";
import type { Store } from "../store/store.ts";
import { Hindrance } from "./hindrance.ts";

type Parts = { readonly store: Pick<Store, "files">; readonly storage: Pick<Storage, "filePath"> };

/** The record of a file. Throws an ApiError if it no longer exists. */
export function fileOf({ files }: Pick<Store, "files">, id: string): FileRecord {
  const file = files.get(id);
  if (file) return file;
  throw new ApiError(400, { message: `The file ${id} no longer exists`, code: "file_not_found" });
}

/**
 * Files are validated on upload; this checks that they have not changed. Throws an ApiError for one
 * that has, a {@link Hindrance} for one whose bytes may come back.
 */
export async function assertFiles(
  { trainingFiles, validationFiles }: Pick<JobRecord, "trainingFiles" | "validationFiles">,
  { store, storage }: Parts,
): Promise<void> {
  for (const id of [...trainingFiles, ...validationFiles]) {
    const file = fileOf(store, id);
    const { size } = await statReadable(storage.filePath(file)).catch((error: Error) => {
      const why = error instanceof Deno.errors.NotFound ? "it is not there" : error.message;
      throw new Hindrance(
        `The file ${id} cannot be read in the data folder (${why}): bring the folder's disk back ` +
          "or restore the file, then resume the job",
      );
    });
    if (size === file.bytes) continue;
    throw new ApiError(400, {
      message: `The file ${id} has ${size} bytes in the data folder, expected ${file.bytes}`,
      code: "invalid_training_file",
    });
  }
}

/** Throws also where its status can be had, but not its bytes. */
async function statReadable(path: string): Promise<Deno.FileInfo> {
  using file = await Deno.open(path);
  return await file.stat();
}

/** A model that a job needs. Throws a {@link Hindrance} that says where it should be. */
export async function neededModel(
  name: string,
  { models, options: { modelsFolder } }: {
    readonly models: Pick<Models, "get">;
    readonly options: Pick<ServerOptions, "modelsFolder">;
  },
): Promise<ModelRecord> {
  try {
    return await models.get(name);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    throw new Hindrance(
      `The model '${name}' ${await whyAway(
        modelsFolder,
      )}: mount or restore it, then resume the job`,
    );
  }
}

/** Why a model is not found: above all, whether the disk of the folder is there at all. */
async function whyAway(folder: string): Promise<string> {
  try {
    for await (const _ of Deno.readDir(folder)) return `is not in the models folder ${folder}`;
    return `is away: the models folder ${folder} is empty`;
  } catch (error) {
    return error instanceof Deno.errors.NotFound
      ? `is away: there is no models folder ${folder}`
      : `is away: the models folder ${folder} cannot be read: ${(error as Error).message}`;
  }
}

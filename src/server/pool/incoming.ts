/**
 * What a worker sends of a job's folder: first each file beside it, then, once all are there, they
 * take their places. A worker that is lost in between leaves the folder as it was.
 *
 * @module
 */
import { dirname, join } from "../../packages/std_path.ts";
import { syncFolder } from "../../files/atomic.ts";
import { removeAll } from "../../files/remove_all.ts";
import { checkpointSteps } from "../../formats/checkpoint/reader.ts";
import { recoverCheckpoints, replaceFolder } from "../../train/checkpoint.ts";
import { ApiError } from "../api_error.ts";
import { INCOMING } from "../store/file_kinds.ts";
import { type Commit, FILES_MISSING, type Traveller } from "./protocol.ts";
import { receive, safePlace, staysBehind } from "./travellers.ts";

/** Folders that a run makes, with all that is in them. */
const OF_A_RUN = /^(checkpoint-\d+|model|adapter)$/;

export class Incoming {
  /** What has come and is not in its place yet. */
  readonly #come = new Map<string, Traveller>();
  readonly #folder: string;
  /** One after another: a worker repeats one whose answer was lost. */
  #commits: Promise<void> = Promise.resolve();
  /** The last that took effect. */
  #done: string | undefined;

  /** `folder` is the job's, `lease` the id of the worker's lease. */
  constructor(readonly folder: string, lease: string) {
    this.#folder = join(folder, INCOMING + lease);
  }

  /** Removes what will not take its place. */
  async clear(): Promise<void> {
    await this.#commits.catch(() => {});
    this.#come.clear();
    await removeAll(this.#folder);
  }

  /** Throws an ApiError 400 for a file that is not what it should be. */
  async receive(
    pieces: AsyncIterable<Uint8Array>,
    file: Traveller,
    onBytes: (count: number) => Promise<void>,
  ): Promise<void> {
    await receive(pieces, join(this.#folder, "come", placeOf(file)), file, onBytes);
    this.#come.set(file.path, file);
  }

  /**
   * Does nothing if it was the last that was done. Throws an ApiError 409 if a file has not come, as
   * after a restart of the server.
   */
  commit(commit: Commit): Promise<void> {
    return this.#commits = this.#commits.catch(() => {}).then(() => this.#commit(commit));
  }

  async #commit({ files, keep }: Commit): Promise<void> {
    const text = JSON.stringify({ files, keep });
    const missing = files.filter(({ path, bytes, sha256 }) => {
      const come = this.#come.get(path);
      return come?.sha256 !== sha256 || come.bytes !== bytes;
    });
    if (missing.length) {
      if (text === this.#done) return;
      const names = missing.map(({ path }) => path).join(", ");
      throw new ApiError(409, { message: `not here yet: ${names}`, code: FILES_MISSING });
    }
    // If it fails, nothing of it counts as here, and all of it comes again.
    this.#come.clear();
    await this.#place(files);
    for (const step of await checkpointSteps(this.folder)) {
      if (!keep.includes(step)) await removeAll(join(this.folder, `checkpoint-${step}`));
    }
    this.#done = text;
    await removeAll(this.#folder);
  }

  async #place(files: readonly Traveller[]): Promise<void> {
    await recoverCheckpoints(this.folder);
    // These files and no others that have come.
    const whole = join(this.#folder, "whole");
    await removeAll(whole);
    for (const { path } of files) {
      const to = join(whole, path);
      await Deno.mkdir(dirname(to), { recursive: true });
      await Deno.rename(join(this.#folder, "come", path), to);
    }
    // Curves before the checkpoint that goes on from them: a run cuts what is too long, not too short.
    const isFolder = (place: string) => !files.some(({ path }) => path === place);
    const places = [...new Set(files.map(({ path }) => path.split("/")[0]))]
      .sort((a, b) => Number(isFolder(a)) - Number(isFolder(b)));
    for (const place of places) {
      const from = join(whole, place), to = join(this.folder, place);
      if (isFolder(place)) await replaceFolder(from, to);
      else await Deno.rename(from, to);
    }
    await syncFolder(this.folder);
  }
}

/** Of a file that a worker may send. Throws an ApiError 400 for any other of the job's folder. */
function placeOf({ path }: Traveller): string {
  const [first, ...rest] = safePlace(path).split("/");
  const isOfRun = OF_A_RUN.test(first);
  if (rest.length ? isOfRun : !isOfRun && !staysBehind(first)) return path;
  throw new ApiError(400, {
    message: `no file that a worker sends: ${JSON.stringify(path)}`,
    param: "path",
  });
}

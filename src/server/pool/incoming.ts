/**
 * What a worker sends of a job's folder: first each file beside it, then, once all are there, they
 * take their places. A worker that is lost in between leaves the folder as it was.
 *
 * @module
 */
import { join } from "../../packages/std_path.ts";
import { syncFolder } from "../../files/atomic.ts";
import { isThere } from "../../files/stat.ts";
import { checkpointSteps } from "../../formats/checkpoint/reader.ts";
import { ApiError } from "../api_error.ts";
import { FILES_MISSING, type Traveller } from "./protocol.ts";
import { receive, safePlace } from "./travellers.ts";

export class Incoming {
  /** What has come and is not in its place yet. */
  readonly #come = new Map<string, Traveller>();
  readonly #folder: string;

  /** `folder` is the job's. */
  constructor(readonly folder: string) {
    this.#folder = join(folder, "incoming");
  }

  /** Removes what an earlier worker, or an earlier server, left. */
  async clear(): Promise<void> {
    this.#come.clear();
    await remove(this.#folder);
  }

  /** Throws an ApiError 400 for a file that is not what it should be. */
  async receive(
    stream: ReadableStream<Uint8Array>,
    { path, sha256 }: Pick<Traveller, "path" | "sha256">,
    onBytes: (count: number) => Promise<void>,
  ): Promise<void> {
    let bytes = 0;
    const target = join(this.#folder, safePlace(path));
    await receive(stream, target, { sha256 }, (count) => {
      bytes += count;
      return onBytes(count);
    });
    this.#come.set(path, { path, bytes, sha256 });
  }

  /** Throws an ApiError 409 if a file has not come, as after a restart of the server. */
  async commit(files: readonly Traveller[], keep: readonly number[]): Promise<void> {
    const missing = files.filter(({ path, bytes, sha256 }) => {
      const come = this.#come.get(path);
      return come?.sha256 !== sha256 || come.bytes !== bytes;
    });
    if (missing.length) {
      const names = missing.map(({ path }) => path).join(", ");
      throw new ApiError(409, { message: `not here yet: ${names}`, code: FILES_MISSING });
    }
    // Curves before the checkpoint that goes on from them: a run cuts what is too long, not too short.
    const places = [...new Set(files.map(({ path }) => path.split("/")[0]))];
    const folders = places.filter((place) => !files.some(({ path }) => path === place));
    for (const place of places) if (!folders.includes(place)) await this.#move(place);
    for (const place of folders) await this.#move(place);
    await syncFolder(this.folder);
    for (const step of await checkpointSteps(this.folder)) {
      if (!keep.includes(step)) await remove(join(this.folder, `checkpoint-${step}`));
    }
    await this.clear();
  }

  /** A folder of that name stays until its successor is in place. */
  async #move(place: string): Promise<void> {
    const from = join(this.#folder, place), to = join(this.folder, place), old = `${to}.old`;
    const isFolder = (await Deno.stat(from)).isDirectory;
    if (isFolder && await isThere(to)) {
      await remove(old);
      await Deno.rename(to, old);
    }
    await Deno.rename(from, to);
    if (isFolder) await remove(old);
  }
}

async function remove(path: string): Promise<void> {
  if (await isThere(path)) await Deno.remove(path, { recursive: true });
}

/** What a worker sends of a run: its checkpoints as they are saved, and its result. */
import { join } from "../../packages/std_path.ts";
import { isThere } from "../../files/stat.ts";
import { removeAll } from "../../files/remove_all.ts";
import { checkpointSteps } from "../../formats/checkpoint/reader.ts";
import { FILE_SIZE, FILES_MISSING, reprDigest, RUN, type Traveller } from "../pool/protocol.ts";
import { filesBelow, staysBehind, travellerOf } from "../pool/travellers.ts";
import { FILE_MS, Refusal, type ServerClient } from "./server_client.ts";

/** Texts of a result that name files of this machine. */
const NAMES_PATHS = /\.(json|md|html)$/;

export interface UploadPlaces {
  readonly client: ServerClient;
  /** Below the server's address of workers. */
  readonly lease: string;
  /** The worker's folder of the job. */
  readonly root: string;
  /** What places below it are on the server. */
  readonly origins: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Called once, when nothing further can be sent. */
  readonly onFault: (error: unknown) => void;
}

/** A run's folder as it was at one moment. */
interface Snapshot {
  readonly folder: string;
  readonly keep: readonly number[];
}

export class Uploads {
  #count = 0;
  /** The newest that waits for the one under way. */
  #waiting: { readonly snapshot: Snapshot; readonly onSent: () => void } | undefined;
  #sending: Promise<void> | undefined;
  #fault: unknown;

  constructor(readonly places: UploadPlaces) {}

  /**
   * Sends a checkpoint, unless a newer one comes before its turn; `onSent` is called if it has come.
   * Resolves when the run may go on and remove it.
   */
  async checkpoint(name: string, onSent: () => void): Promise<void> {
    const snapshot = await this.#take([name]), before = this.#waiting;
    this.#waiting = { snapshot, onSent };
    this.#sending ??= this.#sendAll();
    if (before) await removeAll(before.snapshot.folder);
  }

  /** Resolves when all that waits has been sent; throws what kept it from that. */
  async idle(): Promise<void> {
    await this.#sending;
    if (this.#fault) throw this.#fault;
  }

  /** Sends the result and whatever else the run has left. */
  async result(): Promise<void> {
    await this.idle();
    await this.#send(await this.#take(["model", "adapter"]));
  }

  async #sendAll(): Promise<void> {
    try {
      for (let next; (next = this.#waiting);) {
        this.#waiting = undefined;
        await this.#send(next.snapshot);
        next.onSent();
      }
    } catch (error) {
      this.#fault = error;
      this.places.onFault(error);
    } finally {
      this.#sending = undefined;
    }
  }

  /** Folders by links to their files, which do not change; loose files, which grow, as copies. */
  async #take(folders: readonly string[]): Promise<Snapshot> {
    const run = join(this.places.root, RUN);
    const folder = join(this.places.root, "sent", String(++this.#count));
    await Deno.mkdir(folder, { recursive: true });
    const keep = await checkpointSteps(run);
    for await (const { name, isFile } of Deno.readDir(run)) {
      if (!isFile || staysBehind(name)) continue;
      await this.#copy(join(run, name), join(folder, name));
    }
    for (const name of folders) {
      if (!await isThere(join(run, name))) continue;
      for (const { path, place } of await filesBelow(join(run, name))) {
        const to = join(folder, name, place);
        await Deno.mkdir(join(to, ".."), { recursive: true });
        // The files of a checkpoint have hashes that it knows.
        if (name.startsWith("checkpoint-")) await Deno.link(path, to);
        else await this.#copyOrLink(path, to);
      }
    }
    return { folder, keep };
  }

  async #copyOrLink(from: string, to: string): Promise<void> {
    if (NAMES_PATHS.test(from)) await this.#copy(from, to);
    else await Deno.link(from, to);
  }

  /** With the server's paths in place of this machine's. */
  async #copy(from: string, to: string): Promise<void> {
    if (!NAMES_PATHS.test(from)) return await Deno.copyFile(from, to);
    const { root, origins } = this.places;
    const text = Object.entries(origins).reduce(
      (text, [place, origin]) => text.replaceAll(join(root, place), origin),
      await Deno.readTextFile(from),
    );
    await Deno.writeTextFile(to, text);
  }

  async #send({ folder, keep }: Snapshot): Promise<void> {
    const { client, lease, signal } = this.places;
    const files: Traveller[] = [];
    for (const { path, place } of await filesBelow(folder)) {
      files.push(await travellerOf(path, place));
    }
    while (true) {
      for (const file of files) await this.#put(join(folder, file.path), file);
      try {
        // The server syncs all of it.
        const body = { files, keep }, silence = FILE_MS;
        await client.json("POST", `${lease}/commits`, { body, signal, silence });
        return await removeAll(folder);
      } catch (error) {
        // The server has restarted meanwhile.
        if (!(error instanceof Refusal) || error.code !== FILES_MISSING) throw error;
      }
    }
  }

  async #put(path: string, { path: place, bytes, sha256 }: Traveller): Promise<void> {
    const { client, lease, signal } = this.places;
    const name = place.split("/").map(encodeURIComponent).join("/");
    await client.json("PUT", `${lease}/files/${name}`, {
      file: path,
      headers: { [FILE_SIZE]: String(bytes), "repr-digest": reprDigest(sha256) },
      signal,
      silence: FILE_MS,
    });
  }
}

/** What a job needs on the worker's machine. Inputs stay there for later jobs, by their hashes. */
import { dirname, join } from "../../packages/std_path.ts";
import { namesIn } from "../../files/names_in.ts";
import { statOf } from "../../files/stat.ts";
import { removeAll } from "../../files/remove_all.ts";
import { type Claimed, INPUTS, type Traveller } from "../pool/protocol.ts";
import { receive } from "../pool/travellers.ts";
import { FILE_MS, type ServerClient } from "./server_client.ts";

/** Days after which an input that no job has used is removed. */
const DAYS = 7;

export class Inputs {
  /** What is being fetched, by its hash: of two jobs that need it, one fetches it. */
  readonly #coming = new Map<string, Promise<string>>();

  constructor(readonly client: ServerClient, readonly folder: string) {}

  /** Removes what has not been used for long; files of runs are links, and stay. */
  async tidy(): Promise<void> {
    for (const name of await namesIn(this.folder)) {
      const path = join(this.folder, name), stat = await statOf(path);
      const isOld = stat && Date.now() - Number(stat.mtime) > DAYS * 86_400_000;
      if (isOld) await removeAll(path);
    }
  }

  /** Brings all files of a job below `root`; tells of every one which share of all has come. */
  async bring(
    { files, lease }: Pick<Claimed, "files" | "lease">,
    root: string,
    { signal, onShare }: {
      readonly signal: AbortSignal;
      readonly onShare: (share: number) => void;
    },
  ): Promise<void> {
    const all = files.reduce((sum, { bytes }) => sum + bytes, 0);
    let done = 0;
    for (const file of files) {
      signal.throwIfAborted();
      const to = join(root, file.path);
      await Deno.mkdir(dirname(to), { recursive: true });
      const fetchTo = (place: string) => this.#fetch(lease, file, place, signal);
      // What a run writes to is its own.
      if (file.path.startsWith(`${INPUTS}/`)) await Deno.link(await this.#kept(file, fetchTo), to);
      else await fetchTo(to);
      onShare(all ? (done += file.bytes) / all : 1);
    }
  }

  /** Path of the file among those that stay; one job after another looks for it, or fetches it. */
  async #kept(
    { sha256 }: Traveller,
    fetchTo: (place: string) => Promise<void>,
  ): Promise<string> {
    const path = join(this.folder, sha256);
    const before = this.#coming.get(sha256);
    const mine = (async () => {
      await before?.catch(() => {}); // the other job's fault: this one tries itself
      if (!await wasUsed(path)) await fetchTo(path);
      return path;
    })();
    this.#coming.set(sha256, mine);
    try {
      return await mine;
    } finally {
      if (this.#coming.get(sha256) === mine) this.#coming.delete(sha256);
    }
  }

  #fetch(lease: string, file: Traveller, place: string, signal: AbortSignal): Promise<void> {
    return this.client.call(
      "GET",
      `/leases/${lease}/inputs/${file.sha256}`,
      { signal, silence: FILE_MS },
      (response) => receive(response.body ?? new Blob().stream(), place, file),
    );
  }
}

/** Whether it is there; it then stays for longer. */
async function wasUsed(path: string): Promise<boolean> {
  try {
    await Deno.utime(path, new Date(), new Date());
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return false;
  }
}

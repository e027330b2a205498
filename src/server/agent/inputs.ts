/** What a job needs on the worker's machine. Inputs stay there for later jobs, by their hashes. */
import { dirname, join } from "../../packages/std_path.ts";
import { isThere } from "../../files/stat.ts";
import { namesIn } from "../../files/names_in.ts";
import { type Claimed, INPUTS } from "../pool/protocol.ts";
import { receive } from "../pool/travellers.ts";
import type { ServerClient } from "./server_client.ts";

/** Milliseconds for which a file may be under way. */
const FILE_MS = 24 * 3600_000;
/** Days after which an input that no job has used is removed. */
const DAYS = 7;

export class Inputs {
  constructor(readonly client: ServerClient, readonly folder: string) {}

  /** Removes what has not been used for long. */
  async tidy(): Promise<void> {
    for (const name of await namesIn(this.folder)) {
      const path = join(this.folder, name), { mtime } = await Deno.stat(path);
      if (Date.now() - Number(mtime) > DAYS * 86_400_000) await Deno.remove(path);
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
    for (const { path, bytes, sha256 } of files) {
      const to = join(root, path);
      await Deno.mkdir(dirname(to), { recursive: true });
      const fetchTo = (place: string) =>
        this.client.call(
          "GET",
          `/leases/${lease}/inputs/${sha256}`,
          { signal, timeout: FILE_MS },
          (response) => receive(response.body ?? new Blob().stream(), place, { bytes, sha256 }),
        );
      // What a run writes to is its own.
      if (!path.startsWith(`${INPUTS}/`)) await fetchTo(to);
      else {
        const kept = join(this.folder, sha256);
        if (!await isThere(kept)) await fetchTo(kept);
        await Deno.utime(kept, new Date(), new Date());
        await Deno.link(kept, to);
      }
      onShare(all ? (done += bytes) / all : 1);
    }
  }
}

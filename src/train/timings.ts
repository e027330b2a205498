/** Where the tiles that were timed on adapters are remembered. */
import { writeJson } from "../files/atomic.ts";
import { diskFault } from "../files/disk_error.ts";
import { join } from "../packages/std_path.ts";
import { z } from "../packages/zod.ts";

/** Days after which kernels are timed again: WebGPU hides the driver's version, so its updates. */
const DAYS = 30;
/** Remembered products, of all runs on an adapter. */
const MOST_PRODUCTS = 2000;

/** The tile of each product, by its layout and sizes. */
type Tiles = Readonly<Record<string, string>>;

/** What remembers tiles, by a key of all that decides how fast a kernel is. */
export interface Timings {
  /** The tile of each product, by its layout and sizes; undefined where nothing is known. */
  recall(
    key: string,
  ):
    | Promise<Readonly<Record<string, string>> | undefined>
    | Readonly<Record<string, string>>
    | undefined;
  /** Keeps the tiles that are now known. */
  remember(key: string, tiles: Readonly<Record<string, string>>): Promise<void> | void;
}

const remembered = z.object({
  timed_at: z.iso.datetime(),
  tiles: z.record(z.string(), z.string()),
});

const NAME = /^timings-(\w+)\.json$/;

/** A file for each key in a folder, which need not exist. */
export class TimingsFolder implements Timings {
  constructor(readonly folder: string) {}

  /** Nothing if the file is missing, old, damaged or cannot be read. */
  async recall(key: string): Promise<Tiles | undefined> {
    const text = await Deno.readTextFile(this.#file(key)).catch((error) => {
      if (diskFault(error)) return undefined;
      throw error;
    });
    const found = text === undefined ? undefined : remembered.safeParse(parsed(text)).data;
    const age = found ? Date.now() - Date.parse(found.timed_at) : Infinity;
    // A clock that was once wrong must not keep them for years.
    return age >= 0 && age < DAYS * 86_400_000 ? found?.tiles : undefined;
  }

  /** A disk that cannot take the file costs no run: the next one times its kernels again. */
  async remember(key: string, tiles: Tiles): Promise<void> {
    const newest = Object.fromEntries(Object.entries(tiles).slice(-MOST_PRODUCTS));
    try {
      await Deno.mkdir(this.folder, { recursive: true });
      await writeJson(this.#file(key), { timed_at: new Date().toISOString(), tiles: newest });
    } catch (error) {
      if (!diskFault(error)) throw error;
    }
  }

  /** What is remembered of every adapter, by key. */
  async all(): Promise<Record<string, Tiles>> {
    const names = await Array.fromAsync(Deno.readDir(this.folder)).catch(() => []);
    const keys = names.flatMap(({ name }) => NAME.exec(name)?.[1] ?? []);
    const found = await Promise.all(
      keys.map(async (key) => [key, await this.recall(key)] as const),
    );
    return Object.fromEntries(found.flatMap(([key, tiles]) => tiles ? [[key, tiles]] : []));
  }

  #file(key: string): string {
    return join(this.folder, `timings-${key}.json`);
  }
}

/** Undefined where it is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

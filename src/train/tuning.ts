/** Kernels timed before a run, once for each adapter and product. */
import { writeJson } from "../files/atomic.ts";
import { diskFault } from "../files/disk_error.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { cacheFolder } from "../host/cache_folder.ts";
import type { MatmulShape } from "../kernels/matmul/matmul.ts";
import { type TileTable, tileTimer, tuneTiles } from "../kernels/matmul/matmul_tuning.ts";
import { strategyFor } from "../kernels/strategy.ts";
import { dirname, join } from "../packages/std_path.ts";
import { z } from "../packages/zod.ts";
import { VERSION } from "../product.ts";
import type { OnPreparation } from "./events.ts";

/** Milliseconds that a run waits for it at most, beside the product in progress. */
const MOST_MS = 5000;
/** Days after which kernels are timed again: WebGPU hides the driver's version, so its updates. */
const DAYS = 30;
/** Remembered products, of all runs on an adapter. */
const MOST_PRODUCTS = 2000;

const remembered = z.object({
  timed_at: z.iso.datetime(),
  tiles: z.record(z.string(), z.string()),
});

/**
 * Chooses the fastest variants of the kernels of a run. Does nothing on an adapter that has no
 * choice or no clock. What is found is remembered where that is allowed, for other runs.
 */
export async function tune(
  gpu: Gpu,
  products: () => readonly MatmulShape[],
  onPreparation: OnPreparation,
  folder: string | undefined = cacheFolder(),
): Promise<void> {
  const time = strategyFor(gpu.capabilities).matmul === "tiled" ? tileTimer(gpu) : undefined;
  if (!time) return;
  const file = folder && join(folder, `timings-${await adapterKey(gpu)}.json`);
  const known = { ...gpu.capabilities.timed?.tiles, ...file && await recall(file) };
  const tiles = await tuneTiles(time, products(), known, {
    most: MOST_MS,
    onProgress: (share) => onPreparation({ type: "preparation", what: "timing kernels", share }),
  });
  gpu.assume({ timed: { tiles } });
  if (file && Object.keys(tiles).length > Object.keys(known).length) await remember(file, tiles);
}

/** Of all that decides how fast a kernel is. */
async function adapterKey({ adapter }: Gpu): Promise<string> {
  const { vendor, architecture, device, description } = adapter;
  const parts = [VERSION, Deno.version.deno, vendor, architecture, device, description];
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(parts.join("\n")));
  return new Uint8Array(hash).slice(0, 8).toHex();
}

/** What a file remembers; nothing if it is missing, old, damaged or cannot be read. */
async function recall(file: string): Promise<TileTable> {
  const text = await Deno.readTextFile(file).catch((error) => {
    if (diskFault(error)) return undefined;
    throw error;
  });
  const found = text === undefined ? undefined : remembered.safeParse(parsed(text)).data;
  const recent = found && Date.now() - Date.parse(found.timed_at) < DAYS * 86_400_000;
  return recent ? found.tiles : {};
}

/** Undefined where it is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A disk that cannot take the file costs no run: the next one times its kernels again. */
async function remember(file: string, tiles: TileTable): Promise<void> {
  const newest = Object.fromEntries(Object.entries(tiles).slice(-MOST_PRODUCTS));
  try {
    await Deno.mkdir(dirname(file), { recursive: true });
    await writeJson(file, { timed_at: new Date().toISOString(), tiles: newest });
  } catch (error) {
    if (!diskFault(error)) throw error;
  }
}
